"""Colorize many files on a cluster of Ray: one model per worker, files from folders or object storage.

Addresses such as ``s3://bucket/folder`` are read and written by fsspec, and only here: a worker copies a file
to its own disk, colorizes it as any local file, and copies the result to its place, where it appears
complete. GDAL opens no address itself. A killed worker is started again, and its work is done again. The rows
of tiles of a large raster are spread over the workers.
"""

from nircolor.inference.cluster.running import ClusterGoneError, colorize_on_cluster
from nircolor.inference.cluster.storage import MANIFEST, Manifest
from nircolor.inference.cluster.tasks import Outcome, Task, plan_tasks

__all__ = ["MANIFEST", "ClusterGoneError", "Manifest", "Outcome", "Task", "colorize_on_cluster", "plan_tasks"]
