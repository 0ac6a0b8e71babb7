"""Draws the two pictures of `fastconv.data.sample`: a still life in colour and a house in grey, with NumPy alone.

    python examples/draw_samples.py samples.npz

The still life is ray-traced: fruits are ellipsoids on a checked cloth, with one lamp, shadows and highlights. The house
is painted area by area. Both are drawn in three times the rows and columns and averaged, so that edges are smooth.
"""

import sys

import numpy as np

SIZE, FINER = 128, 3

# Each with its centre, its half axes and its colour: x to the right, y up, z away from the eye.
FRUITS = (
    ((-1.15, 0.95, 0.3), (1.0, 0.95, 1.0), (0.80, 0.08, 0.07)),     # an apple
    ((-1.12, 1.98, 0.3), (0.06, 0.24, 0.06), (0.30, 0.18, 0.08)),   # its stem
    ((-0.86, 2.10, 0.2), (0.28, 0.05, 0.14), (0.15, 0.50, 0.12)),   # its leaf
    ((0.85, 0.72, -0.35), (0.74, 0.72, 0.74), (0.95, 0.52, 0.06)),  # an orange
    ((2.05, 0.50, 0.45), (0.80, 0.50, 0.52), (0.96, 0.86, 0.18)),   # a lemon
    ((0.10, 0.42, -1.35), (0.44, 0.42, 0.44), (0.28, 0.12, 0.42)),  # a plum
    ((1.05, 0.95, 1.75), (0.72, 0.95, 0.72), (0.52, 0.66, 0.16)),   # a pear
    ((0.98, 2.00, 1.75), (0.38, 0.55, 0.38), (0.52, 0.66, 0.16)),   # its neck
)
EYE, LAMP = np.array([0.2, 2.7, -6.6]), np.array([-4.5, 7.0, -4.0])


def main():
    path = sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__)
    np.savez_compressed(path, **{"still-life": still_life(), "house": house()})


def still_life():
    """(3, SIZE, SIZE) uint8."""
    grid = np.linspace(-1, 1, SIZE * FINER)
    right, up = np.meshgrid(grid, -grid)
    rays = normal(np.stack([0.46 * right, 0.46 * up - 0.24, np.ones_like(up)], -1))
    colour = wall(rays)
    nearest = np.full(rays.shape[:2], np.inf)

    reach = np.where(rays[..., 1] < 0, -EYE[1] / np.minimum(rays[..., 1], -1e-9), np.inf)  # the table is y = 0
    places = EYE + np.where(np.isfinite(reach), reach, 0)[..., None] * rays
    on_table = np.isfinite(reach) & (places[..., 2] < 4)
    colour[on_table] = lit(places[on_table], np.array([0.0, 1.0, 0.0]), cloth(places[on_table]), shine=0.0)
    nearest[on_table] = reach[on_table]

    for centre, axes, paint in FRUITS:
        reach = meet(EYE, rays, centre, axes)
        seen = reach < nearest
        places = EYE + reach[seen][:, None] * rays[seen]
        around = (places - centre) / np.array(axes)
        spots = 1 + 0.07 * np.sin(9 * around[:, :1] + 4 * np.sin(7 * around[:, 1:2])) * np.sin(11 * around[:, 2:])
        colour[seen] = lit(places, normal(around / np.array(axes)), np.array(paint) * spots, shine=0.5)
        nearest[seen] = reach[seen]
    return pixels(colour).transpose(2, 0, 1)


def wall(rays):
    """A blue wall behind the table, brighter to the left, from where the light comes."""
    brightness = 0.75 - 0.9 * rays[..., :1] + 0.5 * rays[..., 1:2]
    return np.clip(brightness, 0.2, 1.2) * np.array([0.34, 0.46, 0.60])


def cloth(places):
    """A checked tablecloth: white, red where a stripe runs, dark red where two cross."""
    stripes = (np.floor(places[:, 0] / 0.62) % 2) + (np.floor(places[:, 2] / 0.62) % 2)
    return np.array([[0.93, 0.92, 0.88], [0.86, 0.50, 0.48], [0.68, 0.16, 0.18]])[stripes.astype(int)]


def lit(places, normals, paint, shine):
    """Colours of places in the light of the lamp."""
    to_lamp = normal(LAMP - places)
    away = 1e-4 * normals
    shadowed = np.any([np.isfinite(meet(places + away, to_lamp, centre, axes)) for centre, axes, _ in FRUITS], axis=0)
    falling = np.clip((to_lamp * normals).sum(-1, keepdims=True), 0, 1) * ~shadowed[:, None]
    halfway = normal(to_lamp + normal(EYE - places))
    glint = np.clip((halfway * normals).sum(-1, keepdims=True), 0, 1) ** 60 * ~shadowed[:, None]
    return paint * (0.25 + 0.85 * falling) + shine * glint


def meet(start, rays, centre, axes):
    """How far along rays an ellipsoid is first met; infinity where it is missed."""
    origin, along = (start - np.array(centre)) / axes, rays / np.array(axes)
    a, b, c = (along * along).sum(-1), (origin * along).sum(-1), (origin * origin).sum(-1) - 1
    inside = b * b - a * c
    distance = (-b - np.sqrt(np.maximum(inside, 0))) / a
    return np.where((inside > 0) & (distance > 1e-6), distance, np.inf)


def normal(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def house():
    """(1, SIZE, SIZE) uint8."""
    x, y = np.meshgrid(*2 * [(np.arange(SIZE * FINER) + 0.5) / (SIZE * FINER)])  # y down
    paper = 0.62 + 0.3 * y + 0.05 * np.sin(9 * x + 3 * np.sin(7 * y)) * (1 - y)  # sky with haze
    paper[(x - 0.84) ** 2 + (y - 0.14) ** 2 < 0.06**2] = 1.0  # the sun
    paper = np.where(y > 0.66 + 0.05 * np.sin(5 * x + 1), 0.42 + 0.06 * np.sin(60 * x) * np.sin(90 * y), paper)  # hill
    paper = np.where(y > 0.80, 0.5 + 0.05 * np.sin(150 * x + 40 * y) * np.sin(70 * y), paper)  # grass

    front = (0.14 < x) & (x < 0.60) & (0.42 < y) & (y < 0.84)
    row = np.floor(y / 0.028)
    mortar = (y / 0.028 % 1 < 0.16) | ((x / 0.064 + 0.5 * (row % 2)) % 1 < 0.08)
    paper[front] = np.where(mortar, 0.72, 0.50 + 0.06 * np.sin(37 * row + 91 * np.floor(x / 0.064 + row % 2)))[front]
    paper[(0.46 < x) & (x < 0.53) & (0.14 < y) & (y < 0.34)] = 0.33  # the chimney
    roof = (abs(x - 0.37) < (y - 0.16) * 1.15) & (0.16 < y) & (y < 0.42)
    paper[roof] = (0.22 + 0.10 * (np.sin(220 * y + 1.5 * abs(np.sin(60 * x))) > 0))[roof]
    for left, top, wide, high in ((0.20, 0.50, 0.12, 0.12), (0.43, 0.50, 0.12, 0.12), (0.20, 0.68, 0.12, 0.10)):
        frame = (left < x) & (x < left + wide) & (top < y) & (y < top + high)
        paper[frame] = 0.95
        pane = ((x - left) / wide * 2 % 1 - 0.5) ** 2 < 0.16
        pane &= ((y - top) / high * 2 % 1 - 0.5) ** 2 < 0.16
        paper[frame & pane] = (0.12 + 0.25 * (x + y - left - top) / (wide + high))[frame & pane]
    paper[(0.43 < x) & (x < 0.53) & (0.66 < y) & (y < 0.84)] = 0.17  # the door, and its handle
    paper[(x - 0.515) ** 2 + (y - 0.755) ** 2 < 0.007**2] = 0.9
    path = (y > 0.84) & (abs(x - 0.48 - 0.25 * (y - 0.84)) < 0.04 + 0.35 * (y - 0.84))
    paper[path] = (0.74 + 0.06 * np.sin(300 * y))[path]

    paper[(abs(x - 0.80) < 0.022 + 0.05 * np.maximum(y - 0.78, 0)) & (0.5 < y) & (y < 0.88)] = 0.16  # a trunk
    rng = np.random.default_rng(3)
    for leaf in range(420):  # leaves, the bright ones last, and at the top left
        angle, far = rng.uniform(0, 2 * np.pi), 0.17 * np.sqrt(rng.random())
        left, top = 0.80 + far * np.cos(angle), 0.44 + 1.1 * far * np.sin(angle)
        shade = 0.18 + 0.30 * leaf / 420 + 0.5 * max(0.0, 0.44 - top) + 0.04 * rng.standard_normal()
        paper[((x - left) / 1.3) ** 2 + (y - top) ** 2 < rng.uniform(0.008, 0.016) ** 2] = shade
    for post in np.arange(0.62, 1.0, 0.045):  # a fence
        paper[(abs(x - post) < 0.009) & (0.76 + 0.6 * abs(x - post) < y) & (y < 0.90)] = 0.92
    paper[(x > 0.605) & ((abs(y - 0.80) < 0.007) | (abs(y - 0.86) < 0.007))] = 0.85
    return pixels(paper[..., None]).transpose(2, 0, 1)


def pixels(colours):
    """Averages of the finer pixels, as bytes, a little brighter in the dark as screens want it."""
    coarse = colours.reshape(SIZE, FINER, SIZE, FINER, -1).mean(axis=(1, 3))
    return np.rint(255 * np.clip(coarse, 0, 1) ** 0.9).astype(np.uint8)


if __name__ == "__main__":
    main()
