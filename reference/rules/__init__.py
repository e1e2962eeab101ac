from reference.rule import RuleError
from reference.rules.adam import ADAM, ADAMW, ADAM_EPS_HAT
RULES={r.name:r for r in (ADAM,ADAM_EPS_HAT,ADAMW)}
def load_rule(n):
    if n not in RULES: raise RuleError("no rule "+n)
    return RULES[n]
get_rule=load_rule
def rule_for_torch_class(d):
    return next((r for r in RULES.values() if d in r.torch),None)
