"""The commands and words that an answer may hold, and what the tokenizer makes of each."""

from __future__ import annotations

from r1rewards.math.units import word_set

FUNCTIONS = word_set(
    "sin cos tan cot sec csc arcsin arccos arctan arccot arcsec arccsc sinh cosh tanh coth ln log lg "
    "exp max min gcd lcm det arg Re Im sgn sup inf deg dim"
)
FUNCTION_NAMES = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "tg": "tan",
    "ctg": "cot",
    "arctg": "arctan",
    "cosec": "csc",
    "LCM": "lcm",
    "GCD": "gcd",
}
GREEK = word_set(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon "
    "phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell hbar mho imath "
    "jmath nabla partial aleph"
)
SAME_LETTER = {"varphi": "phi", "varepsilon": "epsilon", "vartheta": "theta", "varrho": "rho"}
OPERATORS = {
    "cdot": "*",
    "times": "*",
    "ast": "*",
    "div": "/",
    "pm": "pm",
    "mp": "mp",
    "le": "<=",
    "leq": "<=",
    "leqslant": "<=",
    "ge": ">=",
    "geq": ">=",
    "geqslant": ">=",
    "lt": "<",
    "gt": ">",
    "ne": "!=",
    "neq": "!=",
    "subset": "subset",
    "subsetneq": "subset",
    "subsetneqq": "subset",
    "subseteq": "subseteq",
    "supset": "supset",
    "supseteq": "supseteq",
    "perp": "perp",
    "parallel": "parallel",
    "sim": "sim",
    "propto": "propto",
    "cong": "cong",
    "notin": "notin",
    "approx": "~",
    "simeq": "~",
    "doteq": "~",
    "equiv": "=",
    "in": "in",
    "cup": "union",
    "bigcup": "union",
    "cupdot": "union",
    "sqcup": "union",
    "cap": "meet",
    "setminus": "minus",
    "backslash": "minus",
    "mid": "|",
    "vert": "|",
    "lvert": "|",
    "rvert": "|",
    "colon": ":",
    "land": "and",
    "wedge": "and",
    "lor": "or",
    "vee": "or",
    "prime": "'",
    "circ": "degree",
    "degree": "degree",
    "textdegree": "degree",
    "textcirc": "degree",
    "to": "to",
    "rightarrow": "to",
    "mapsto": "to",
    "Rightarrow": "so",
    "Longrightarrow": "so",
    "implies": "so",
}
BRACKETS = {
    "langle": "(",
    "rangle": ")",
    "lbrace": "\\{",
    "rbrace": "\\}",
    "lbrack": "[",
    "rbrack": "]",
    "lparen": "(",
    "rparen": ")",
}
#: Commands that say how something looks, not what it is.
LOOKS = word_set(
    "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr middle displaystyle textstyle limits "
    "nolimits quad qquad hfill bf rm it cal boldsymbol mathbf bm mathcal mathit mathsf vec hat tilde "
    "bar overrightarrow widehat underline mathstrut strut boxed fbox noindent overset rlap angle "
    "triangle therefore tiny small normalsize large Large LARGE huge Huge scriptstyle scriptsize footnotesize"
)
WORDS = word_set("text textbf textit textrm textnormal textup textsf mbox hbox mathrm operatorname")
STRUCTURES = word_set(
    "frac sqrt binom dbinom tbinom lfloor rfloor lceil rceil sum prod int begin end overline dot mathbb "
    "infty emptyset varnothing ldots cdots dots dotsc dotsb"
)
ALGEBRA = word_set("lim limsup liminf partial iint oint")
ALIASES = {"dbinom": "binom", "tbinom": "binom", "varnothing": "emptyset"} | dict.fromkeys(
    ("cdots", "dots", "dotsc", "dotsb"), "ldots"
)
#: From one of these words on, an answer explains itself.
STOPS = word_set(
    "where for when if with such is are which because since given whenever provided unless respectively "
    "as has have that this so then means"
)
PERCENT = word_set("percent pct percentage percents")
DEGREE = word_set("degree degrees deg")
CURRENCY = "$€£¥₹"
ORDINALS = frozenset(("st", "nd", "rd", "th"))
