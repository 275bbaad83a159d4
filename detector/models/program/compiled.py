"""The program, compiled once for each of its frames by XLA."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from detector.config.detection import Detection
from detector.models.program.arrays import SlotStates, Stack, StackScores
from detector.models.program.learning import BlockLearning
from detector.models.program.scoring import Scoring
from detector.models.program.tensors import Tensor, TensorBlock, lent, tf
from detector.models.shape import Frame, Rules, Shape, rules_of, shape_of

_RETURNED = len(StackScores._fields) + len(SlotStates._fields)


def shared(detection: Detection) -> Program:
    """Return the program of a configuration: one for all models of its shape and rules, as it keeps nothing.

    Each frame is compiled at its first call, or by `Program.warm_up`.
    """
    return _shared(shape_of(detection), rules_of(detection))


@lru_cache(maxsize=16)
def _shared(shape: Shape, rules: Rules) -> Program:
    return Program(shape, rules)


class Program:
    """The compiled program of one shape and one set of rules."""

    def __init__(self, shape: Shape, rules: Rules) -> None:
        self.shape = shape
        self.rules = rules
        self._score = Scoring(shape, rules)
        self._learn = BlockLearning(shape, rules)
        self._compiled = {frame: self._function(frame) for frame in shape.frames}
        self._warm = False

    def _function(self, frame: Frame) -> Tensor:
        function = tf.function(self._stack, jit_compile=True, autograph=False)
        return function.get_concrete_function(*self._signature(frame))

    def __call__(self, stack: Stack, states: SlotStates) -> tuple[StackScores, SlotStates]:
        """Score and learn a stack; the arrays given are left as they were, those returned are read-only."""
        flat = states.centroids.reshape(-1, self.shape.features)
        given = (*stack[:-1], np.array(stack.blocks, np.int32), flat, states.traits, states.times)
        function = self._compiled[stack.frame].inference_fn
        # Past TensorFlow's search for the function and its handling of arguments: they take 0.6 ms a call.
        tensors = function._bound_context.call_function(function.name, list(map(lent, given)), _RETURNED)  # noqa: SLF001 - no public way
        # Without a copy, which `numpy()` would make.
        *scores, centroids, traits, times = (np.asarray(tensor) for tensor in tensors)
        return StackScores(*scores), SlotStates(centroids.reshape(states.centroids.shape), traits, times)

    def warm_up(self) -> None:
        """Compile now rather than at the first row: both frames at once, each of which takes seconds.

        Once that is done it does nothing.
        """
        if self._warm:
            return

        def compile_(frame: Frame) -> None:
            arguments = self._signature(frame)
            self._compiled[frame](*tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), arguments))

        with ThreadPoolExecutor(len(self._compiled)) as threads:
            list(threads.map(compile_, self._compiled))
        self._warm = True

    def _signature(self, frame: Frame) -> Tensor:
        shape, slots = self.shape, self.shape.slots_of(frame) + 1
        stack = (
            tf.TensorSpec((*frame, shape.features), tf.float32),
            tf.TensorSpec(frame, tf.int32),
            tf.TensorSpec(frame, tf.int32),
            tf.TensorSpec(frame, tf.int32),
            tf.TensorSpec(frame, tf.bool),
            tf.TensorSpec(frame[:1], tf.float64),
        )
        state = (
            tf.TensorSpec((slots * shape.all_centroids, shape.features), tf.float32),
            tf.TensorSpec((slots, shape.traits), tf.float32),
            tf.TensorSpec((slots, shape.times), tf.float64),
        )
        return stack, tf.TensorSpec((), tf.int32), state

    def _stack(self, stack: Tensor, blocks: Tensor, state: Tensor) -> Tensor:
        """Take as many turns as there are blocks; each sees what the one before it left."""
        grid, features = stack[1].shape, self.shape.features

        def turn(t: Tensor, scores: Tensor, state: Tensor) -> Tensor:
            block = TensorBlock(*(field[t] for field in stack))
            scored = self._score(block, *state)
            scores = tuple(
                tf.tensor_scatter_nd_update(all_, [[t]], one[None])
                for all_, one in zip(scores, scored[:4], strict=True)
            )
            return t + 1, scores, self._learn(block, scored, *state)

        nothing = (
            tf.zeros(grid),
            tf.zeros(grid, tf.int32),
            tf.zeros((*grid, features)),
            tf.zeros((*grid, features)),
        )
        _, scores, state = tf.while_loop(lambda t, *_: t < blocks, turn, (tf.constant(0), nothing, state))
        return (*scores, *state)
