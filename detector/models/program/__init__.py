"""The TensorFlow program: score a stack of blocks, each with the model that the blocks before it left.

The one door to TensorFlow. The program is a pure function of a stack of blocks and of the states of the slots in it;
everything that lasts is kept in NumPy by the bank. It has one shape per configuration and is compiled once by XLA.
Its formulas stand in `scoring` and in `learning`.
"""

from detector.models.program.arrays import SlotStates, Stack, StackScores
from detector.models.program.compiled import Program, shared
from detector.models.program.fingerprint import fingerprint
from detector.models.program.tensors import use_one_thread

__all__ = ["Program", "SlotStates", "Stack", "StackScores", "fingerprint", "shared", "use_one_thread"]
