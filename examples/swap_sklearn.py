"""A classifier of digits, before and after: scikit-learn's multilayer perceptron, and a convolutional network.

    python swap_sklearn.py

The line that makes the classifier is all that changes: pipeline, scores and searches stay.
"""

import time
import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from fastconv.adapters.sklearn import CNNClassifier


def main():
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X.astype("float32"), y, random_state=0)
    for name, classifier in (
        ("MLPClassifier", MLPClassifier(max_iter=15, random_state=0)),
        ("fastconv's CNNClassifier", CNNClassifier(image_shape=(8, 8), epochs=15, random_state=0)),
    ):
        model = make_pipeline(MinMaxScaler(clip=True), classifier)
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)
        seconds = time.perf_counter() - start
        print(f"{name}: {model.score(X_test, y_test):.1%} of the test digits after 15 epochs, {seconds:.2f} s")


if __name__ == "__main__":
    main()
