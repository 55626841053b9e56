"""Draw the sample images that the page offers: `python service/web/samples/make_samples.py`.

Both are made of arithmetic alone, from fixed seeds, so no data set's licence touches them:
`nuclei.jpg`, a field of cell nuclei under a fluorescence microscope, and `aerial.jpg`, a town by
a lake in dry land from above.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

FOLDER = Path(__file__).resolve().parent
_SCALE = 2  # drawn this much larger, then averaged: soft edges


def draw_nuclei(height: int = 520, width: int = 696, *, seed: int = 7) -> np.ndarray:
    """Return a uint8 (H, W, 3) image of bright, textured, blurred ellipses on black."""
    rng = np.random.default_rng(seed)
    image: np.ndarray = np.full((height, width), 8.0, np.float32)
    image = image + 5 * _clouds(rng, height, width, 160)
    for x, y in _scatter(rng, height, width, count=58, distance=44):
        image = np.maximum(image, _nucleus(rng, (height, width), (x, y)))
    image = cv2.GaussianBlur(image, (0, 0), 1.1)
    image = image + rng.normal(0, 0.9, image.shape)
    grey = np.clip(image, 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _nucleus(
    rng: np.random.Generator, shape: tuple[int, int], centre: tuple[int, int]
) -> np.ndarray:
    """Return one nucleus on black: an ellipse with soft rim and speckled chromatin."""
    mask: np.ndarray = np.zeros(shape, np.float32)
    axes = (int(rng.integers(15, 22)), int(rng.integers(10, 15)))
    cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA)
    mask = cv2.GaussianBlur(mask, (0, 0), 1.4)
    texture = 1 + 0.18 * _clouds(rng, *shape, 9) + 0.10 * _clouds(rng, *shape, 4)
    return mask * texture * rng.uniform(55, 150)


def _scatter(
    rng: np.random.Generator, height: int, width: int, *, count: int, distance: float
) -> list[tuple[int, int]]:
    """Return up to `count` places, no two nearer than about `distance`; some pairs touch."""
    places: list[tuple[int, int]] = []
    for _ in range(4000):
        place = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        nearest = min((np.hypot(place[0] - x, place[1] - y) for x, y in places), default=1e9)
        if nearest > distance * rng.choice([0.62, 1.0], p=[0.02, 0.98]):
            places.append(place)
        if len(places) == count:
            break
    return places


def draw_aerial(height: int = 768, width: int = 1024, *, seed: int = 3) -> np.ndarray:
    """Return a uint8 (H, W, 3) image of sand, a lake, roads, houses and gardens."""
    rng = np.random.default_rng(seed)
    canvas = _Town(rng, height * _SCALE, width * _SCALE)
    canvas.paint_land()
    canvas.paint_park()
    canvas.paint_roads_and_blocks()
    canvas.paint_lake()
    small = cv2.resize(canvas.image, (width, height), interpolation=cv2.INTER_AREA)
    small += rng.normal(0, 5, (height, width, 1)).astype(np.float32)
    return np.clip(small, 0, 255).astype(np.uint8)


class _Town:
    """A float32 RGB canvas and the strokes that make a town."""

    def __init__(self, rng: np.random.Generator, height: int, width: int) -> None:
        self.rng = rng
        self.height, self.width = height, width
        self.image = np.zeros((height, width, 3), np.float32)

    def paint_land(self) -> None:
        """Sand: pale, warm, mottled at several scales."""
        shade = 206 + 8 * self._clouds(260) + 5 * self._clouds(60) + 6 * self._clouds(12)
        self.image[:] = shade[:, :, None] * np.array([1.0, 0.965, 0.915], np.float32)

    def paint_park(self) -> None:
        """A green belt with trees, where a slow noise is high."""
        y, x = np.mgrid[: self.height, : self.width].astype(np.float32)
        along = (y - 0.80 * self.height - 0.06 * self.height * np.sin(x / self.width * 7)) / (
            0.115 * self.height
        )
        park = np.abs(along) + 0.25 * self._clouds(70) < 1
        self._fill(park & (x < 0.63 * self.width), (92, 106, 74), grain=14)
        for _ in range(420):
            cx, cy = self.rng.integers(0, self.width), self.rng.integers(0, self.height)
            if park[cy, cx] and cx < 0.63 * self.width:
                self._disc((int(cx), int(cy)), int(self.rng.integers(9, 20)), (58, 74, 48))

    def paint_roads_and_blocks(self) -> None:
        """A highway, a grid of streets, and houses with gardens between them."""
        step_x, step_y = self.width // 8, self.height // 7
        for row in range(5):
            for column in range(5):
                self._block(column * step_x + 40, row * step_y + 40, step_x, step_y)
        for column in range(5):
            self._road([(column * step_x + 24, 0), (column * step_x + 24, 5 * step_y + 24)], 26)
        for row in range(6):
            self._road([(0, row * step_y + 24), (int(0.67 * self.width), row * step_y + 24)], 26)
        highway = [(0.655, -0.05), (0.66, 0.3), (0.675, 0.66), (0.76, 1.05)]
        points = [(int(x * self.width), int(y * self.height)) for x, y in highway]
        self._road(points, 74)

    def paint_lake(self) -> None:
        """Dark green water with a pale shore."""
        y, x = np.mgrid[: self.height, : self.width].astype(np.float32)
        far = np.hypot((x / self.width - 0.90) / 0.185, (y / self.height - 0.36) / 0.30)
        far += 0.07 * self._clouds(120)
        self._fill(far < 1.05, (222, 214, 198), grain=6)
        self._fill(far < 1.0, (14, 44, 30), grain=4)

    def _block(self, left: int, top: int, width: int, height: int) -> None:
        across, down = 4, 3
        for index in range(across * down):
            x = left + 14 + index % across * (width - 34) // across
            y = top + 14 + index // across * (height - 34) // down
            garden = (x - 4, y - 4, (width - 34) // across - 2, (height - 34) // down - 2)
            if self.rng.random() < 0.45:
                self._rectangle(garden, (104, 112, 84), grain=12)
            if self.rng.random() < 0.9:
                self._house(x + 4, y + 6, garden[2] - 16, garden[3] - 20)

    def _house(self, x: int, y: int, width: int, height: int) -> None:
        width = int(width * self.rng.uniform(0.72, 1.0))
        height = int(height * self.rng.uniform(0.7, 1.0))
        self._rectangle((x + 6, y + 7, width, height), (62, 60, 60), grain=3)
        roofs = [(246, 240, 230), (226, 208, 182), (206, 176, 146), (236, 226, 214)]
        self._rectangle((x, y, width, height), roofs[self.rng.integers(len(roofs))], grain=5)
        if min(width, height) > 24:
            part = (x + 6, y + 6, width // 2, height // 2)
            self._rectangle(part, (232, 224, 214), grain=4)

    def _road(self, points: list[tuple[int, int]], width: int) -> None:
        line = np.array(points, np.int32)
        for extra, colour in ((10, (186, 180, 172)), (0, (92, 88, 88))):
            mask = np.zeros((self.height, self.width), np.uint8)
            cv2.polylines(mask, [line], False, 1, width + extra, cv2.LINE_8)
            self._fill(mask > 0, colour, grain=5)
        if width > 50:
            cv2.polylines(self.image, [line], False, (168, 162, 154), 6, cv2.LINE_AA)

    def _disc(self, centre: tuple[int, int], radius: int, colour: tuple[int, int, int]) -> None:
        shadow = (centre[0] + 5, centre[1] + 5)
        cv2.circle(self.image, shadow, radius, (46, 52, 40), -1, cv2.LINE_AA)
        cv2.circle(self.image, centre, radius, colour, -1, cv2.LINE_AA)

    def _rectangle(
        self, box: tuple[int, int, int, int], colour: tuple[int, int, int], *, grain: float
    ) -> None:
        x, y, width, height = box
        part = self.image[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)]
        part[:] = np.array(colour, np.float32) + self.rng.normal(0, grain, (*part.shape[:2], 1))

    def _fill(self, mask: np.ndarray, colour: tuple[int, int, int], *, grain: float) -> None:
        noise = self.rng.normal(0, grain, (int(mask.sum()), 1))
        self.image[mask] = np.array(colour, np.float32) + noise

    def _clouds(self, size: int) -> np.ndarray:
        return _clouds(self.rng, self.height, self.width, size)


def _clouds(rng: np.random.Generator, height: int, width: int, size: int) -> np.ndarray:
    """Return smooth noise (H, W) of about unit variance whose blobs are `size` pixels wide."""
    coarse = rng.normal(0, 1.4, (height // size + 3, width // size + 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def main() -> None:
    """Write both images beside this file."""
    for name, image in (("nuclei", draw_nuclei()), ("aerial", draw_aerial())):
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(FOLDER / f"{name}.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, 92])


if __name__ == "__main__":
    main()
