"""The lecture's map: for each notion of the lecture where it is computed, tested and seen. Pages are made from it."""

import re
from typing import NamedTuple

__all__ = ["NOTIONS", "VIEWS", "Notion", "page", "script_of"]

VIEWS = ("slide", "draw", "train", "network", "backward")
_REPOSITORY = "https://github.com/fastconv/fastconv/blob/main/"


class Notion(NamedTuple):
    """A notion of the lecture: its name in English and Korean, what computes it, the layer or object that has it, the
    test that holds it, and where it is seen: picture, view with its state, command, chapter."""

    english: str
    korean: str
    function: str
    layer: str
    test: str
    picture: str
    view: str
    command: str
    chapter: str


NOTIONS = (
    Notion("an image as a tensor, channels", "텐서로 나타낸 이미지, 채널", "data.load_image", "data.sample",
           "tests/data/test_images.py::test_colour_and_grey", "ChannelSumDisplay",
           "slide?image=sample:still-life&filter=identity&row=66&column=56",
           "fastconv slide sample:still-life --filter identity --at 66,56", "01-images"),
    Notion("a filter, one slice a channel", "필터와 채널 조각", "walk.convolution", "nn.Conv2d",
           "tests/walk/test_conv.py::test_a_cell_is_made_of_its_products", "FilterDisplay",
           "slide?image=digit:0&filter=sobel-x", "fastconv summary lenet5", "05-colour"),
    Notion("the filter slides, step by step", "한 걸음씩 움직이는 필터", "fc.conv2d", "nn.Conv2d",
           "tests/functional/test_conv.py::test_edges_exactly", "ConvolutionDisplay",
           "slide?image=digit:0&filter=sobel-x&padding=0&row=8&column=12",
           "fastconv slide digit:0 --filter sobel-x --at 8,12", "02-filters"),
    Notion("products, element by element, summed to one cell", "원소별 곱을 더해 한 칸으로", "walk.convolution",
           "nn.Conv2d", "tests/walk/test_conv.py::test_a_cell_is_made_of_its_products", "ConvolutionDisplay",
           "slide?image=digit:0&filter=gaussian&row=8&column=12", "fastconv slide digit:0 --filter gaussian --at 8,12",
           "02-filters"),
    Notion("the map shrinks; padding and its value", "작아지는 맵, 패딩과 패딩 값", "fc.conv2d", "nn.Conv2d",
           "tests/functional/test_padding_modes.py::test_as_numpy_pads", "OutputSizeDisplay",
           "slide?image=digit:0&filter=blur&padding=1&padding_value=128&row=0&column=0",
           "fastconv slide digit:0 --filter blur --padding 1 --pad-value 128 --at 0,0", "03-padding"),
    Notion("stride", "스트라이드", "fc.conv2d", "nn.Conv2d",
           "tests/functional/test_conv.py::test_mixed_options_exactly", "OutputSizeDisplay",
           "slide?image=digit:0&filter=sobel-x&padding=0&stride=2",
           "fastconv slide digit:0 --filter sobel-x --stride 2 --at 4,6", "04-stride"),
    Notion("the formula of the output's size", "출력 크기의 식", "fc.conv_output_size", "nn.Conv2d",
           "tests/walk/test_conv.py::test_the_formula_says_what_it_computes", "OutputSizeDisplay",
           "slide?image=digit:0&stride=3&padding=2",
           "fastconv explain --input 3x224x224 --weight 64x3x7x7 --stride 2 --padding 3", "04-stride"),
    Notion("colour: the channels' maps added up", "컬러: 채널 맵을 더하기", "walk.convolution", "nn.Conv2d",
           "tests/test_cli_see.py::test_slide_over_a_colour_image", "ChannelSumDisplay",
           "slide?image=sample:still-life&filter=sobel-x",
           "fastconv slide sample:still-life --filter sobel-x --at 66,56", "05-colour"),
    Notion("activation: ReLU, leaky ReLU, sigmoid, tanh", "활성화 함수: ReLU, Leaky ReLU, 시그모이드, tanh",
           "fc.relu", "nn.ReLU", "tests/functional/test_activation.py::test_against_the_reference", "ActivationDisplay",
           "slide?image=digit:0&filter=sobel-x&activation=relu", "fastconv maps digit:0 --model lenet.npz",
           "06-activation"),
    Notion("max and average pooling over m x n", "m x n 최대 풀링과 평균 풀링", "fc.max_pool2d",
           "nn.MaxPool2d", "tests/walk/test_conv.py::test_windows_of_a_pooling", "PoolingDisplay",
           "slide?image=digit:0&filter=sobel-x&pool=max&pool_size=2", "fastconv maps digit:0 --model lenet.npz",
           "07-pooling"),
    Notion("pooling stays channel by channel", "채널마다 따로 하는 풀링", "fc.avg_pool2d", "nn.AvgPool2d",
           "tests/functional/test_pooling.py::test_edges", "PoolingDisplay", "network?image=digit:0",
           "fastconv maps digit:0 --model lenet.npz", "07-pooling"),
    Notion("flatten", "평탄화", "fc.flatten", "nn.Flatten", "tests/functional/test_activation.py::test_flatten",
           "FlattenDisplay", "network?image=digit:0", "fastconv summary lenet5", "08-fully-connected"),
    Notion("fully connected", "완전 연결 층", "fc.linear", "nn.Linear",
           "tests/functional/test_linear.py::test_exactly_on_integers", "PredictionDisplay", "network?image=digit:0",
           "fastconv summary lenet5", "08-fully-connected"),
    Notion("log-softmax and the prediction", "로그 소프트맥스와 예측", "fc.log_softmax", "nn.LogSoftmax",
           "tests/functional/test_activation.py::test_softmax", "PredictionDisplay", "draw",
           "fastconv predict digit.png --model lenet.npz", "09-loss"),
    Notion("initialisation", "초기화", "nn.init.he_uniform", "nn.Conv2d",
           "tests/nn/test_init.py::test_mean_variance_and_range", "FilterHistoryDisplay", "train?seed=1",
           "fastconv train --seed 1 --epochs 1", "11-training"),
    Notion("forward", "순전파", "walk.forward", "nn.Sequential",
           "tests/walk/test_network.py::test_forward_shows_the_feature_maps", "FeatureMapDisplay",
           "network?image=digit:0", "fastconv maps digit:0 --model lenet.npz", "12-lenet"),
    Notion("cross-entropy", "교차 엔트로피", "fc.cross_entropy", "nn.CrossEntropyLoss",
           "tests/functional/test_loss.py::test_cross_entropy", "LossDisplay", "backward?image=digit:0",
           "fastconv evaluate lenet.npz", "09-loss"),
    Notion("backward, the chain rule", "역전파와 연쇄 법칙", "walk.backward", "nn.Sequential",
           "tests/walk/test_network.py::test_backward_shows_the_models_gradients", "GradientDisplay",
           "backward?image=digit:0", "fastconv train --epochs 1", "10-backward"),
    Notion("the update, SGD", "갱신, SGD", "walk.update", "optim.SGD", "tests/test_optim.py::test_sgd_by_hand",
           "UpdateDisplay", "backward?image=digit:0", "fastconv train --optimizer sgd --lr 0.05", "11-training"),
    Notion("the loop: batches, epochs, validation", "반복: 배치, 에포크, 검증", "data.DataLoader", "fc.Trainer",
           "tests/test_training.py::test_it_learns_and_records", "HistoryDisplay", "train", "fastconv train --epochs 3",
           "11-training"),
)

_WORDS = {
    "en": {"computed": "Where it is computed", "seen": "Where it is seen", "notion": "notion", "function": "function",
           "layer": "layer", "test": "test", "picture": "picture", "view": "view of the page", "command": "command",
           "chapter": "chapter"},
    "ko": {"computed": "계산하는 곳", "seen": "볼 수 있는 곳", "notion": "개념", "function": "함수", "layer": "층",
           "test": "테스트", "picture": "그림", "view": "화면의 보기", "command": "명령", "chapter": "장"},
}


def script_of(picture: str) -> str:
    """The script of the gallery that draws a display: channel_sum for ChannelSumDisplay."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", picture.removesuffix("Display")).lower()


def page(language: str) -> str:
    """Two tables in Markdown, in English ("en") or Korean ("ko"), with links as from a page in docs/lecture-map/."""
    words, computed, seen = _WORDS[language], [], []
    for number, one in enumerate(NOTIONS, 1):
        start = [str(number), one.english if language == "en" else one.korean]
        path, _, test = one.test.partition("::")
        computed.append([*start, f"`{one.function}`", f"`{one.layer}`",
                         f"[{test.removeprefix('test_').replace('_', ' ')}]({_REPOSITORY}{path})"])
        picture = f"[{one.picture.removesuffix('Display')}](../gallery_made/{script_of(one.picture)}.rst)"
        view, _, state = one.view.partition("?")
        seen.append([*start, picture, " ".join(f"`{part}`" for part in [view, *filter(None, state.split("&"))]),
                     f"`{one.command}`",
                     f"[{int(one.chapter[:2])}](../course/{language}/{one.chapter}.md)"])
    parts = (("computed", computed, ("notion", "function", "layer", "test")),
             ("seen", seen, ("notion", "picture", "view", "command", "chapter")))
    return "\n\n".join(f"## {words[title]}\n\n{_table([words[name] for name in names], rows)}"
                       for title, rows, names in parts)


def _table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [["", *headings], ["--:", *("---" for _ in headings)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
