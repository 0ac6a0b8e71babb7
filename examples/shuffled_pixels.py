"""Convolution keeps spatial information, a fully connected network on the flattened image has none: an experiment.

    python shuffled_pixels.py [--epochs 5] [--seed 0] [--picture shuffled.png]

The bundled digits are learnt as they are, and with their pixels shuffled by one fixed permutation, the same for all
images: by a LeNet-5, and by two fully connected layers. Nothing is lost by the permutation but which pixels are
neighbours. The fully connected network never knew that, so that it learns both as well; LeNet-5 looks for what lies
beside each other, and falls back.
"""

import argparse

from fastconv import data, walk
from fastconv.plots import ShuffledPixelsDisplay


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", help="draw it into this file, with Matplotlib")
    options = parser.parse_args()
    train, test = data.digits("train"), data.digits("test")
    display = ShuffledPixelsDisplay(walk.shuffled_pixels(train.images, train.labels, test.images, test.labels,
                                                         epochs=options.epochs, seed=options.seed))
    print(display.describe())
    if options.picture:
        display.plot().figure_.savefig(options.picture)


if __name__ == "__main__":
    main()
