from fastconv._core.problem.convolution import Convolution
from fastconv._core.runtime.memory import Block

def prepare(conv: Convolution) -> Block: ...
