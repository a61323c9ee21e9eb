"""A short video of a moving thing, and a few seconds of something like speech."""

from __future__ import annotations

import io
import wave
from fractions import Fraction

import numpy as np

from trainset.errors import MissingExtra
from trainset.sample.scenes import Scene, Thing, draw_scene

SECONDS = 3
RATE = 12  # frames a second
VOICE_RATE = 16_000  # samples a second
# Formants (Hz) of five vowels, as a man speaks them.
VOWELS = (
    (730, 1090, 2440),
    (530, 1840, 2480),
    (270, 2290, 3010),
    (570, 840, 2410),
    (300, 870, 2240),
)


def make_video(size: tuple[int, int] = (320, 240)) -> bytes:
    """An MP4 (H.264, one thread, no dates): a red circle crosses the sky."""
    try:
        import av
    except ImportError as err:
        raise MissingExtra("the sample's video", "media") from err

    out = io.BytesIO()
    with av.open(out, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        settings = {
            "crf": "26",
            "flags": "+bitexact",
            "x264-params": "threads=1:lookahead-threads=1:sliced-threads=0",
        }
        stream = container.add_stream("libx264", rate=RATE, options=settings)
        stream.codec_context.thread_count = 1  # several threads place their bits differently
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = Fraction(1, RATE)
        for i in range(SECONDS * RATE):
            share = i / (SECONDS * RATE - 1)
            thing = Thing("circle", "red", 0.2 + 0.6 * share, 0.55 - 0.2 * share, 0.2)
            picture = draw_scene(Scene("sky", (thing,), seed=11), *size).image
            frame = av.VideoFrame.from_image(picture)
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def make_voice(seconds: float = 4.0, seed: int = 7) -> bytes:
    """A 16-bit mono WAV: pulses of a voice through the formants of vowels, in syllables."""
    noise = np.random.default_rng(seed)
    count = int(seconds * VOICE_RATE)
    time = np.arange(count) / VOICE_RATE
    pitch = 118 + 14 * np.sin(2 * np.pi * 0.7 * time)
    phase = np.cumsum(2 * np.pi * pitch / VOICE_RATE)
    voice = np.zeros(count)
    syllable = VOICE_RATE // 4
    for start in range(0, count, syllable):
        part = slice(start, min(start + syllable, count))
        length = part.stop - part.start
        if noise.random() < 0.2:  # a pause between words
            continue
        formants = VOWELS[int(noise.integers(len(VOWELS)))]
        sound = np.zeros(length)
        for harmonic in range(1, 30):
            tone = harmonic * 118
            gain = sum(1 / (1 + ((tone - f) / 90) ** 2) / (i + 1) for i, f in enumerate(formants))
            sound += gain * np.sin(harmonic * phase[part])
        voice[part] = sound * np.hanning(length) + noise.normal(0, 0.01, length)
    samples = (voice / np.abs(voice).max() * 0.7 * 32767).astype("<i2")
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(VOICE_RATE)
        file.writeframes(samples.tobytes())
    return out.getvalue()
