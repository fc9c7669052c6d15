"""Write pictures to an H.264 file that appears under its name only when it is complete."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

import numpy as np

from engine.errors import UserError

SUFFIXES = (".mp4", ".mov", ".mkv")
BT709 = 1  # ITU-T H.273: colour primaries, transfer and matrix of HD video


class VideoWriter:
    """Encodes uint8 RGB pictures of `size` (width, height) at `fps`; use it as a context manager or call `close()`.

    Frames go to a hidden file beside `path`, renamed on `close()`; on an error, `abort()` or an exit without `close()`
    nothing is left behind and a file that had the name before stays as it was.
    """

    def __init__(
        self, path: str | Path, size: tuple[int, int], fps: int = 30, *, crf: int = 20, preset: str = "veryfast"
    ):
        self.path, self.size, self.fps = Path(path), (int(size[0]), int(size[1])), int(fps)
        self.frame_count = 0
        self._check()
        import av

        self._av = av
        self._part = self.path.with_name(f".{self.path.stem}.{os.getpid()}.part{self.path.suffix}")
        self._forget = weakref.finalize(self, _remove, self._part)
        options = {"movflags": "+faststart"} if self.path.suffix.lower() != ".mkv" else {}
        try:
            self._container = av.open(str(self._part), "w", options=options)
            self._stream = self._container.add_stream(
                "libx264", rate=self.fps, options={"crf": str(crf), "preset": preset}
            )
            self._stream.width, self._stream.height = self.size
            self._stream.pix_fmt = "yuv420p"
            codec = self._stream.codec_context
            codec.color_range, codec.colorspace, codec.color_primaries, codec.color_trc = 1, BT709, BT709, BT709
        except (OSError, ValueError) as error:  # av.error.FFmpegError is one or the other
            self.abort()
            raise UserError(f"{self.path}: cannot write a video: {error}") from error

    def _check(self) -> None:
        folder = self.path.parent
        if self.path.suffix.lower() not in SUFFIXES:
            found = self.path.suffix or "no suffix"
            raise UserError(f'{self.path}: video: expected a name ending in {", ".join(SUFFIXES)}, found "{found}"')
        if not folder.is_dir():
            raise UserError(f"{self.path}: video: folder {folder} does not exist")
        if self.path.is_dir():
            raise UserError(f"{self.path}: video: expected a file, found a folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UserError(f"{self.path}: video: folder {folder} is not writable")
        width, height = self.size
        if min(width, height) < 16 or width % 2 or height % 2:
            raise UserError(f"{self.path}: video size: expected even numbers of at least 16, found {width}x{height}")
        if self.fps < 1:
            raise UserError(f"{self.path}: video fps: expected at least 1, found {self.fps}")

    @property
    def closed(self) -> bool:
        """Whether the file was finished or given up."""
        return self._container is None

    def write(self, picture: np.ndarray) -> None:
        """Append one uint8 RGB picture [height, width, 3]."""
        if self.closed:
            raise ValueError(f"{self.path}: the video is already closed")
        expected = (self.size[1], self.size[0], 3)
        if picture.shape != expected or picture.dtype != np.uint8:
            raise ValueError(f"picture: expected uint8 {expected}, found {picture.dtype} {picture.shape}")
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
        frame.pts = self.frame_count
        self._mux(frame)
        self.frame_count += 1

    def _mux(self, frame) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except OSError as error:  # disk full and the like
            self.abort()
            raise UserError(f"{self.path}: video: {error.strerror or error}") from error

    def close(self) -> None:
        """Finish the file and give it its name; closing twice is harmless."""
        if self.closed:
            return
        if not self.frame_count:
            self.abort()
            raise UserError(f"{self.path}: video: not a single frame was drawn, so no file was written")
        self._mux(None)
        container, self._container = self._container, None
        try:
            container.close()
            os.replace(self._part, self.path)
        except OSError as error:
            raise UserError(f"{self.path}: video: {error.strerror or error}") from error
        finally:
            self._forget()

    def abort(self) -> None:
        """Give up: close and remove the unfinished file."""
        container, self._container = getattr(self, "_container", None), None
        try:
            if container is not None:
                container.close()
        except OSError:
            pass  # it is thrown away in any case
        finally:
            self._forget()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


def _remove(part: Path) -> None:
    part.unlink(missing_ok=True)
