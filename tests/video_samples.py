"""Small videos for tests."""

from fractions import Fraction

import numpy as np

MS = Fraction(1, 1000)


def texture(height=48, width=64, seed=0):
    """Smooth random details (h, w) in [0, 1]."""
    coarse = np.random.default_rng(seed).random((height // 8 + 2, width // 8 + 2))
    image = coarse.repeat(8, 0).repeat(8, 1)
    for axis in (0, 1):
        image = sum(np.roll(image, k, axis) for k in range(-3, 4)) / 7
    return (0.15 + 0.7 * image[:height, :width]).astype(np.float32)


def write_video(
    path, frames, *, codec="ffv1", pix_fmt="gray", times=None, full=True, chroma=None, sound=False, **context
):
    """Write frames (h, w) of stored integers as luma; ``times`` are milliseconds."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], pix_fmt
        stream.time_base = stream.codec_context.time_base = MS
        stream.codec_context.color_range = 2 if full else 1
        container.metadata.update(context.pop("metadata", {}))
        for name, value in context.items():
            if name == "matrix":
                stream.set_display_matrix(value)
            else:
                setattr(stream.codec_context, name, value)
        if codec.startswith("libx264"):
            stream.options = {"crf": "1"}
        audio = container.add_stream("pcm_s16le", rate=8000) if sound else None
        for i, values in enumerate(frames):
            frame = av.VideoFrame(stream.width, stream.height, pix_fmt)
            deep = "10" in pix_fmt or "12" in pix_fmt
            for k, plane in enumerate(frame.planes):
                samples = np.frombuffer(plane, np.uint16 if deep else np.uint8).reshape(plane.height, -1)
                samples[:, : plane.width] = values if k == 0 else (chroma or (128 << 2 * deep,) * 2)[k - 1]
            frame.pts, frame.time_base = (40 * i if times is None else times[i]), MS
            container.mux(stream.encode(frame))
            if audio is not None:
                sound_frame = av.AudioFrame.from_ndarray(
                    np.full((1, 640), 100 * i, np.int16), "s16", "stereo"
                )
                sound_frame.sample_rate, sound_frame.pts, sound_frame.time_base = (
                    8000,
                    320 * i,
                    Fraction(1, 8000),
                )
                container.mux(audio.encode(sound_frame))
        container.mux(stream.encode(None))
        if audio is not None:
            container.mux(audio.encode(None))
    return path


def read_video(path):
    """Decode a video: its frames as ``av.VideoFrame``."""
    import av

    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def rgb_of(frame):
    """Colours (3, h, w) in [0, 1] of a decoded frame by the equations of BT.709 and BT.601, not by FFmpeg."""
    name = frame.format.name
    deep = frame.format.components[0].bits > 8
    planes = []
    for plane in frame.planes[:3]:
        samples = np.frombuffer(plane, np.uint16 if deep else np.uint8).reshape(plane.height, -1)
        planes.append(samples.astype(float))
    top = 1023 if deep else 255
    if name == "bgr0":
        pixels = planes[0][:, : 4 * frame.width].reshape(frame.height, frame.width, 4)
        return np.moveaxis(pixels[:, :, 2::-1], 2, 0) / top
    planes = [samples[:, : plane.width] for samples, plane in zip(planes, frame.planes, strict=False)]
    if name.startswith("gbrp"):
        return np.stack([planes[2], planes[0], planes[1]]) / top
    unit = 4 if deep else 1
    full = name.startswith("yuvj") or frame.color_range == 2
    black, white, span = (0, top, top) if full else (16 * unit, 235 * unit, 224 * unit)
    red, blue = (0.2126, 0.0722) if frame.colorspace == 1 else (0.299, 0.114)
    luma = (planes[0] - black) / (white - black)
    up = [
        np.kron(
            (c - 128 * unit) / span, np.ones((-(-frame.height // c.shape[0]), -(-frame.width // c.shape[1])))
        )[: frame.height, : frame.width]
        for c in planes[1:]
    ]
    r, b = luma + 2 * (1 - red) * up[1], luma + 2 * (1 - blue) * up[0]
    return np.stack([r, (luma - red * r - blue * b) / (1 - red - blue), b])
