r"""Polynomials in the entries of a rotation up to the degree 4, and how their monomials reduce to standard ones.

The polynomials that vanish on ``SO(3)`` form an ideal; modulo this ideal every monomial is a combination of standard
monomials of at most its degree. What is reduced with the table is other modules' business.
"""

from __future__ import annotations

import zlib
from base64 import b85decode
from functools import cache
from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt

__all__ = ["MAX_DEGREE", "Monomial", "compute_reductions", "monomials", "reductions"]

#: The numbers of the factors, ascending: entries of the rotation are counted down its columns.
Monomial = tuple[int, ...]
IntArray = npt.NDArray[np.int64]

MAX_DEGREE = 4
_N_ENTRIES = 9
#: The lengths of the combinations that the monomials are, 1 for standard ones; then for those that are not standard the
#: gaps between the standard monomials in their combinations, and the coefficients plus 4. A byte each, compressed.
_TABLE = (
    "c-rk)TXWmS6&3;P!2$%a5+s5YMMB_~l3`FJS0r??RJ)06r!{Ohsol7(CrNGBNjn<14{q8A&GhorpU~gia~8Y+vZkHnp);K+1mdzd*YAAifK;t^!)"
    "EB+H1t+lq!p8P_8o;6GN#^f%>=z-F~hX*&j38ouH~&l6_1t)CbJesP25R>B%!z^5nQmCNt?k;petH6+5bwA6~DHDVzyqf!2sK2rs1Fi+L>Y5jA=2"
    ";!b{U;02G8}8_d9KX4_yfu-#JJwrK$alm^G7$2LAjYYr5fZCQ-j+Pr0v0h@zEHi1!=HkhE59M{5pE%bv=0961m1mHGv=`nY4jem#%DlTrV0uqyQw"
    "@8Q1Hn~I*YXOr*FtG(pKxS-$iDE@(D2x{vGG<X+IbgXQz;WshgZi55aN8CQ&KlO%x@~sWw!!Gu`dzl>in{Q`+NQVVt&wif6gxHPY_!&Q_qpF|3~t"
    "+AT04aLfqQtwYElfuo~RAIk%v+M?J(>ZvfXM!eH=7f&91{{VkeB6GVHSU&d!$C(Pq1G$LKZ%x`S^0Y-h(ex*(+Mb(!ZGXK)wj-T_m#tu3E3*#g<J"
    "#iq?==*Y0w>bK=Obb4sZ>uz~XW_I>xVz=8Fda0j@xXF(F6W{D`(f7PszlI)rF&Gj}?%{{q=hg){>~7=Y5wm0*G~<m{Y;A>6s~wTUHrV2nT{z7%{~"
    "-!v0P#3l-;LOvfD*%a90x9(aK`urcP=={coJC>_25px8cljkGPaDlj2#)P=rFo%Z!>-xIHv(-;c|x#!%;GGb0?kLKKTW|b+rG(m-gO;`zshc_`#!"
    "Zn462w#S7s+_rCH_3gB=&nbz~RQex+m;ixsvg68977M_gG$45+MvynH|WytPK>jxu&<$-MQESvfDgGii9?}!b&`WyHI(7gj*-fj%Ata(f1Sm2?(k"
    "%vJZ9#78Hc>=Q|wB=<ZZ^XRx-dk~+&F=4A_+N`VBlcVWcfOa#;%wl#hui4!_!R0nntXwujn?zVB{Jvp{g+p)k;lVPoKE7#U>qqGk;68u?|$ZAI^$"
    "=zzC>XRApUi9`y}#T2bfrZ@i>mSbS974#w8Cfxya*JQ6on^@jCE(BYI3S>v_D9$3Y&yj^0Es5#EhgLGUWTEL<MY;p6d-rki>4kqSG%JRB$YvUd2z"
    "WSSHd96uZ*@f1;RdKabz<FflxP0F#PdyyTy(a)t`l-|PxP$z}W_wWyxuXSN7PaM_@TdiiEgn0t>R;wGf@}!+7L{9ZUo%p+=;9-XC0a@n2z>ho6&d"
    "2g1li`ayQ;7wXnHcz3Ls=A2B98~&gA}XfuVZZ3JWpUVA&*qZE<7H6I)22|Pi9ElX~Em<`Irc+o=%CVQ_a*2na=kdBsydTIWv6dI4Q@d<3@ZKtw(B"
    "`1rauD&<(hK=<+C_j9ku8`e)PT8IeAAvhmxe)1Y~_9z7?yofzes?>VB&Y0>4_5ei%61Z_{EX`ovo3ve}vC@gI?)<(nkyxEQBIsu*#wRjWTXsc+XF"
    "rozFqSs_Vm^zM&5w+g)_IplpE}u)f94q><lVC*Qww@CzY4GkoPbl3eBxtf^-EI%<M30OFI>TLY?DuItj4&juhMo@l{%$VgT;k}627W)6GMCs2awh"
    "hDs^3SF+CjR_E|I=2hEx}vIRT!?@;zdMKDtgqB3;NQKUJS5@Z%$jBFeB-Blb)^-*cX1m|KuhW<kmco?Fh-5u>zIuG2o?gt5Ts5n$g$9FxW31VwEE"
    "LXk3dxlN-+oL>AT_$+(!3HDa-*I=V{JLP{1{vIG4dqE_2k|^*WYUDf78E@u<JOYKM20u#x$JP-#+~>~%3?jfaayLv0FX!3^Vmc<ZTq|{TKuD2BGj"
    "8I13~53(unSq^Adq@cQoRbsd3Z$w_8xDMcAE|pE$#AN>o?n15H-J^UjCD9=jvpnjwebNYOHhvsd?2>=(pc=u5fg|o&6rwcqdoqV|AufXE;tDsFcd"
    "ucXqBEeA|4<dRIKU;yby*-cs9=^pAZM>iHz4%kOk^)yq|sE9^T}^qry_4~Z4iRI?&WHA5tyb3}4{-+Zxq#V@`(eTNb8-CX@K#UYvQz6-IdLnM*U<"
    "15Te{G9i%xV++VuD(q>IeLuWg}XRkP=KW9B{ft1T*+MhDgATW!&`LFe;3MkVV@)<9q<kPEpU2gzTma~I=tmNLryd30p?W~y%A+j4v?MNJOYQOZ9w"
    "28CuI;v3Rx`9aOge63<u(V+RM>fM2A}6^<IR1nsz>)4=cRV9U>j=>Rc#v6ba=C<fXzlilRxRTp@|<6vhxy#*vkxoE}<)bD+=orQ#b1^$-g;Jv}&e"
    "kOO_Oc3!j#28v%~=nEVxzT)U>bG1->Kb)Vm<o6Xf3(?|a77vPTAv@P!SiWX$DN;OG3hSM%0x=i%7ZI$s<@HLQm8`CESj1luUu3zAY~i~Se$_xJyQ"
    "<9foR?7jAKw2Cyw~u;%~*j3RpiX#r_KsJqc97roR<+9rQ|C)tgwVKD8>p@^IA~lZ4r)9!MIf1If$hjwyM<9VTm0}WQ--zmQj~0xx8g%zc-PI!7@*"
    "Ftv=WCD6Li{OQmEVYOx9wtP;v~JPbqQtTkYv35(2OVHYaZHO*CVOR<)@Prr2+mgly#S);`HWiW=h0v>(QPxDH5lu=#!Sio4}#5D}c9H^jJD$r_#T"
    "r0xLR~fczrzKQu8B&QvMpcci5;iKVS%k8ndbQB=GL#x~Zs6v5Q50(41dCQH$+CYlUCinLsWw%mhpI9aOv_5w_-5WPz;2pg>_5)1g01B+Z=7Uvf<u"
    "WuhN<anm>-m;fPOXJiht}>l+6z-YJQOEGTcI6hcG9LCP@*JZV#CMw?#i)&b)bf=Z#S48*_>I;*tbw41jBE{{jnvAz1"
)
#: A prime whose products fit into 64 bits.
_PRIME = 2**31 - 1
#: Rotations at which monomials are compared: a few more than there are standard monomials.
_N_ROTATIONS = 176


@cache
def monomials() -> tuple[Monomial, ...]:
    """Return all 715 monomials in the nine entries of a rotation, degree by degree, in lexicographic order."""
    degrees = range(MAX_DEGREE + 1)
    return tuple(m for degree in degrees for m in combinations_with_replacement(range(_N_ENTRIES), degree))


@cache
def reductions() -> dict[Monomial, tuple[tuple[Monomial, int], ...]]:
    r"""Return what each monomial is on the rotations: pairs of standard monomials and integer coefficients.

    The standard monomials, those that are no combination of monomials before them, are 1, 9, 25, 49 and 81 in the
    degrees 0 to 4, and stand for themselves. All coefficients lie in [-4, 4].

    Returns
    -------
    reductions : dict
        Pairs ``(standard monomial, coefficient)`` for each of the 715 monomials.

    See Also
    --------
    compute_reductions : Where the table comes from.

    References
    ----------
    J. B. Lasserre, "Global optimization with polynomials and the problem of moments", SIAM Journal on Optimization 11
    (2001); M. Laurent, "Sums of squares, moment matrices and optimization over polynomials" (2009), section 6
    (relaxations in quotient rings).

    Examples
    --------
    The first column has length 1, ``R_31^2 = 1 - R_11^2 - R_21^2``:

    >>> from estimand.solvers.pose_bound.moments.standard_monomials import reductions
    >>> reductions()[2, 2]
    (((), 1), ((0, 0), -1), ((1, 1), -1))
    """
    packed = np.frombuffer(zlib.decompress(b85decode(_TABLE)), dtype=np.uint8).astype(np.int64)
    lengths, rest = packed[: len(monomials())], packed[len(monomials()) :]
    gaps, coefficients = rest[: rest.size // 2], rest[rest.size // 2 :] - MAX_DEGREE
    standard = [m for m, length in zip(monomials(), lengths, strict=True) if length == 1]
    table: dict[Monomial, tuple[tuple[Monomial, int], ...]] = {}
    first = 0
    for m, length in zip(monomials(), lengths.tolist(), strict=True):
        if length == 1:
            table[m] = ((m, 1),)
            continue
        terms = slice(first, first + length)
        names = (standard[i] for i in np.cumsum(gaps[terms]))
        table[m] = tuple(zip(names, coefficients[terms].tolist(), strict=True))
        first += length
    return table


def compute_reductions() -> dict[Monomial, tuple[tuple[Monomial, int], ...]]:
    """Compute what `reductions` returns, in about half a second, by exact linear algebra modulo a prime.

    Monomials are evaluated at random rotations ``R(q)`` with integer quaternions q, one a row. In the reduced row
    echelon form of this matrix the pivots are the standard monomials, and every other column has its coefficients.
    """
    names = monomials()
    matrix = _values(_rotations_modulo_prime(np.random.default_rng(0)))
    pivots: list[int] = []
    for j in range(len(names)):
        row = len(pivots)
        candidates = np.flatnonzero(matrix[row:, j])
        if not candidates.size:
            continue
        pivot = row + int(candidates[0])
        matrix[[row, pivot]] = matrix[[pivot, row]]
        matrix[row] = matrix[row] * pow(int(matrix[row, j]), -1, _PRIME) % _PRIME
        others = matrix[:, j].copy()
        others[row] = 0
        matrix = (matrix - others[:, None] * matrix[row]) % _PRIME
        pivots.append(j)
    signed = np.where(matrix > _PRIME // 2, matrix - _PRIME, matrix)
    columns = ((m, np.flatnonzero(signed[:, j]), signed[:, j]) for j, m in enumerate(names))
    return {m: tuple((names[pivots[i]], int(column[i])) for i in rows) for m, rows, column in columns}


def _rotations_modulo_prime(rng: np.random.Generator) -> IntArray:
    """Return rotations of random integer quaternions modulo the prime, their columns stacked, of shape (n, 9)."""
    q = rng.integers(0, _PRIME, (4, _N_ROTATIONS))
    (aa, ab, ac, ad), (_, bb, bc, bd), (_, _, cc, cd), (*_, dd) = q[:, None] * q % _PRIME
    entries = [
        [aa + bb - cc - dd, 2 * (bc + ad), 2 * (bd - ac)],
        [2 * (bc - ad), aa - bb + cc - dd, 2 * (cd + ab)],
        [2 * (bd + ac), 2 * (cd - ab), aa - bb - cc + dd],
    ]
    inverse = np.array([pow(int(n), -1, _PRIME) for n in (aa + bb + cc + dd) % _PRIME])
    return np.asarray((np.reshape(entries, (_N_ENTRIES, -1)) % _PRIME * inverse % _PRIME).T)


def _values(entries: IntArray) -> IntArray:
    """Return the values of all monomials modulo the prime, one a column."""
    columns: dict[Monomial, IntArray] = {}
    for m in monomials():
        columns[m] = columns[m[:-1]] * entries[:, m[-1]] % _PRIME if m else np.ones(len(entries), dtype=np.int64)
    return np.stack(list(columns.values()), axis=1)
