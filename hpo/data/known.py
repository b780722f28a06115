"""The datasets that hpo knows by name: what they are and what their classes are called."""

from collections.abc import Mapping

KNOWN: Mapping[str, str] = {
    "digits": "1,797 handwritten digits, 8x8 pixels, 10 classes; in scikit-learn",
    "iris": "150 irises, 4 measures, 3 species; in scikit-learn",
    "wine": "178 wines, 13 measures, 3 growers; in scikit-learn",
    "breast_cancer": "569 tumours, 30 measures, malignant or benign; in scikit-learn",
    "diabetes": "442 patients, 10 measures, progression of the disease (regression); in scikit-learn",
    "mnist": "70,000 handwritten digits, 28x28 pixels, 10 classes; HPO_DATA, or downloaded by Keras",
    "fashion_mnist": "70,000 articles of clothing, 28x28 pixels, 10 classes; HPO_DATA, or downloaded by Keras",
    "google": "1,047 trading days of Google's share, 2004 to 2008: prices and volume, for series; in matplotlib",
    "cifar10": "60,000 photographs, 32x32 pixels in colour, 10 classes; HPO_DATA, or downloaded by Keras",
}
"""Name -> one line that says what it is."""

SERIES = ("google",)
"""Those that are tables whose rows follow each other in time."""

CLASS_NAMES: Mapping[str, tuple[str, ...]] = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    "cifar10": (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
}
"""The classes of the datasets whose files hold numbers only, in order."""
