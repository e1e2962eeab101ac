"""From one sympy tree to ball arithmetic, to array code with allowances, and to LaTeX."""
