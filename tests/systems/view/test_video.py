"""Videos decode to the frames that were written, appear only when complete, and fail in one clear line."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from engine.errors import UserError
from systems.view.video import VideoWriter

SIZE = (320, 180)
MANY = 70  # frames after which the encoder has written some


def pictures(count):
    """Solid colours that change from frame to frame, with a white column that moves right."""
    for k in range(count):
        picture = np.zeros((SIZE[1], SIZE[0], 3), dtype=np.uint8)
        picture[:] = 200, 40 + 3 * (k % 60), 30
        picture[:, 8 * (k % 36) : 8 * (k % 36) + 16] = 255
        yield picture


def decode(path):
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return frames, stream.average_rate, stream.codec_context


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_decodes_with_the_right_count_rate_and_pictures(tmp_path, suffix):
    path = tmp_path / f"walk{suffix}"
    with VideoWriter(path, SIZE, fps=30) as video:
        for picture in pictures(31):
            video.write(picture)
        assert not path.exists(), "the name appears only when the file is complete"
    frames, rate, codec = decode(path)
    assert len(frames) == 31
    assert rate == Fraction(30)
    assert (codec.name, codec.width, codec.height, codec.pix_fmt) == ("h264", *SIZE, "yuv420p")
    for k, (seen, written) in enumerate(zip(frames, pictures(31), strict=True)):
        assert np.abs(seen.astype(int) - written).mean() < 8, f"frame {k}"
    assert [path.name] == os.listdir(tmp_path)


def test_other_rates_and_double_close(tmp_path):
    video = VideoWriter(tmp_path / "slow.mp4", SIZE, fps=12)
    for picture in pictures(5):
        video.write(picture)
    video.close()
    video.close()
    frames, rate, _ = decode(tmp_path / "slow.mp4")
    assert (len(frames), rate) == (5, Fraction(12))


def test_an_error_leaves_nothing_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "walk.mp4"
    path.write_bytes(b"older")
    with pytest.raises(RuntimeError), VideoWriter(path, SIZE) as video:
        for picture in pictures(MANY):
            video.write(picture)
        assert len(os.listdir(tmp_path)) == 2, "the unfinished file lies beside the target"
        raise RuntimeError
    assert os.listdir(tmp_path) == ["walk.mp4"]
    assert path.read_bytes() == b"older"


def test_abort_and_leaving_without_close_leave_nothing(tmp_path):
    video = VideoWriter(tmp_path / "a.mp4", SIZE)
    for picture in pictures(MANY):
        video.write(picture)
    assert len(os.listdir(tmp_path)) == 1
    video.abort()
    video.abort()
    assert os.listdir(tmp_path) == []
    code = (
        "import numpy as np, sys; from systems.view.video import VideoWriter\n"
        f"video = VideoWriter(sys.argv[1], {SIZE})\n"
        f"for _ in range({MANY}): video.write(np.zeros(({SIZE[1]}, {SIZE[0]}, 3), np.uint8))\n"
        "import os; print(len(os.listdir(os.path.dirname(sys.argv[1])))); raise KeyboardInterrupt"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "b.mp4"], cwd=root, capture_output=True, timeout=60)
    assert done.stdout.strip() == b"1"
    assert os.listdir(tmp_path) == []


def test_no_frames_is_an_error_and_no_file(tmp_path):
    with pytest.raises(UserError, match="not a single frame"), VideoWriter(tmp_path / "a.mp4", SIZE):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "size", "fps", "message"),
    [
        ("nowhere/a.mp4", SIZE, 30, "nowhere does not exist"),
        ("a.gif", SIZE, 30, r'expected a name ending in \.mp4, \.mov, \.mkv, found "\.gif"'),
        ("a", SIZE, 30, 'found "no suffix"'),
        ("a.mp4", (321, 180), 30, "even numbers"),
        ("a.mp4", (0, 0), 30, "even numbers"),
        ("a.mp4", SIZE, 0, "fps"),
    ],
)
def test_bad_input_is_one_line(tmp_path, name, size, fps, message):
    with pytest.raises(UserError, match=message) as caught:
        VideoWriter(tmp_path / name, size, fps)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_folder_in_the_way_and_an_unwritable_folder(tmp_path, monkeypatch):
    (tmp_path / "taken.mp4").mkdir()
    with pytest.raises(UserError, match="found a folder"):
        VideoWriter(tmp_path / "taken.mp4", SIZE)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere, so a mode alone would not do
    with pytest.raises(UserError, match="is not writable"):
        VideoWriter(tmp_path / "a.mp4", SIZE)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    """The unfinished file is pointed at /dev/full: writing or closing must raise a UserError."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    (tmp_path / ".a.1.part.mkv").symlink_to("/dev/full")
    noise = np.random.default_rng(0)
    with pytest.raises(UserError, match="video"):
        video = VideoWriter(tmp_path / "a.mkv", SIZE)
        for _ in range(200):
            video.write(noise.integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8))
        video.close()
    assert os.listdir(tmp_path) == []


def test_wrong_pictures_are_refused(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", SIZE) as video:
        with pytest.raises(ValueError, match="expected uint8"):
            video.write(np.zeros((10, 10, 3), dtype=np.uint8))
        with pytest.raises(ValueError, match="expected uint8"):
            video.write(np.zeros((SIZE[1], SIZE[0], 3)))
        video.write(next(pictures(1)))
    with pytest.raises(ValueError, match="already closed"):
        video.write(next(pictures(1)))
