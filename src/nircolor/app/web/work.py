"""The queue: images wait for their turn, are colorized in threads, and can be cancelled."""

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable

from nircolor.app.fitting import fits_of
from nircolor.app.terminal import describe
from nircolor.app.web.schemas import Options, State
from nircolor.app.web.settings import AUTO, Models, Settings
from nircolor.app.web.store import Image, Store
from nircolor.errors import NircolorError
from nircolor.imagery import open_raster
from nircolor.inference import FileSummary, plan
from nircolor.parallel import Cancelled, clear_traceback


class BusyError(Exception):
    """The image is being worked on."""


class Queue:
    """Images that wait, and the threads that colorize them.

    Clients take turns, so that one with many images does not hold up the others; the images of a client are
    colorized in the order of arrival.

    Args:
        settings: Number of threads and limit on pixels.
        models: The models.
        store: The images.
        on_bug: Called with an unexpected exception.

    Attributes:
        finished: Number of images by their final state, since the start.
        pixels: Pixels colorized since the start.
        seconds: Time spent on them.
    """

    def __init__(
        self, settings: Settings, models: Models, store: Store, on_bug: Callable[[BaseException], None]
    ) -> None:
        self._settings, self._models, self._store, self._on_bug = settings, models, store, on_bug
        self._waiting: list[Image] = []
        # number of the last turn of each client, and the place of each waiting image until something changes
        self._turns: dict[str, int] = {}
        self._turn = 0
        self._places: dict[Image, int] | None = None
        self._changed = threading.Condition()
        self._closed = False
        self.running: set[str] = set()
        self.finished: Counter[str] = Counter()
        self.pixels, self.seconds = 0, 0.0
        self._threads = [
            threading.Thread(target=self._work, name=f"colorize-{number}", daemon=True)
            for number in range(settings.jobs)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop the running work and end the threads."""
        with self._changed:
            self._closed = True
            for image in self._waiting:
                image.is_cancelled = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def __len__(self) -> int:
        return len(self._waiting)

    def position_of(self, image: Image) -> int:
        """Return the number of images before a waiting one, 0 for others."""
        with self._changed:
            return self._in_turn()[image] if image.state == "queued" else 0

    def _in_turn(self) -> dict[Image, int]:
        """Return the place of each waiting image; the client whose turn was longest ago comes first."""
        if self._places is None:
            rounds: Counter[str] = Counter()
            keys: dict[Image, tuple[int, int]] = {}
            for image in self._waiting:
                keys[image] = rounds[image.client], self._turns.get(image.client, 0)
                rounds[image.client] += 1
            self._places = {image: place for place, image in enumerate(sorted(keys, key=keys.__getitem__))}
        return self._places

    def _take(self) -> Image:
        """Take the next image out of the queue."""
        image = next(iter(self._in_turn()))
        self._waiting.remove(image)
        self._turn += 1
        self._turns[image.client] = self._turn
        clients = {one.client for one in (*self._waiting, image)}
        # those without images start anew
        self._turns = {client: turn for client, turn in self._turns.items() if client in clients}
        self._places = None
        return image

    def add(self, image: Image, options: Options) -> None:
        """Put an image into the queue.

        Raises:
            BusyError: It is in the queue or being colorized.
            NircolorError: No such model, or an option is malformed.
        """
        self._models.check(options.model)
        options.reading(self._settings.max_pixels)
        with self._changed:
            if image.is_busy:
                raise BusyError(f"{image.name}: is being colorized; cancel it first")
            image.state, image.options, image.is_cancelled = "queued", options, False
            image.progress, image.error, image.warnings, image.summary = 0.0, None, [], None
            image.model, image.output, image.confidence = None, None, None
            image.run += 1
            self._waiting.append(image)
            self._places = None
            self._changed.notify()

    def cancel(self, image: Image) -> None:
        """Stop the work on an image; nothing happens if there is none."""
        with self._changed:
            if image.state == "queued":
                self._waiting.remove(image)
                self._places = None
                self._finish(image, "cancelled")
            elif image.state == "running":
                image.is_cancelled = True

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                image = self._take()
                image.state = "running"
                self.running.add(image.id)
            self._colorize(image)
            self.running.discard(image.id)

    def _colorize(self, image: Image) -> None:
        start = time.perf_counter()
        try:
            summary = self._run(image)
        except Cancelled:
            self._finish(image, "cancelled")
        # a bug that one image triggers must not end the thread
        except Exception as error:
            image.error = image.worded(describe(error))
            if not isinstance(error, NircolorError):
                self._on_bug(error)
            clear_traceback(error)
            self._finish(image, "failed")
        else:
            image.progress, image.summary = 1.0, str(summary)
            self.pixels += summary.width * summary.height
            self._finish(image, "done")
        self.seconds += time.perf_counter() - start

    def _finish(self, image: Image, state: State) -> None:
        self.finished[state] += 1
        self._store.finish(image, state)

    def _run(self, image: Image) -> FileSummary:
        """Colorize an image as `nircolor colorize` does."""

        def on_progress(done: float, total: float) -> None:
            if image.is_cancelled or self._closed:
                raise Cancelled
            image.progress = done / total

        options, folder = image.options, image.folder / "out"
        reading = options.reading(self._settings.max_pixels)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        name = self._best_model(image) if options.model == AUTO else options.model
        image.model = name
        (job,) = plan([image.path], folder, output_format=options.format, confidence=options.confidence)
        if options.quality is not None and job.output.suffix not in (".jpg", ".jpeg"):
            raise NircolorError(f"quality: expected a JPEG result (format jpg), got {job.output.suffix}")
        summary = self._models.load(name).colorize_file(
            job.path,
            job.output,
            reading=reading,
            depth=None if options.depth is None else int(options.depth),
            quality=options.quality,
            saturation=options.saturation,
            confidence=options.confidence,
            on_progress=on_progress,
        )
        image.output, image.confidence = job.output, job.confidence
        return summary

    def _best_model(self, image: Image) -> str:
        """Return the model that fits an image best; the default one if none fits, for its message."""
        options = vars(image.options.reading(self._settings.max_pixels))
        with open_raster(image.path, **options) as raster:
            best = fits_of(raster, self._models.cards.values())[0]
        # those of the model's own reading follow
        image.warnings = []
        return best.card.name if best.reason is None else next(iter(self._models.cards))
