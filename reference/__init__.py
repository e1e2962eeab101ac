from reference.rule import *
from reference.rules import *
