"""Values that parsers, validators and serialisers are known to see differently."""

# JSON text, whole or as a part of more.
ODD_JSON = [
    *"null true false 0 -0 1 -1 1.0 1.5 1e3 1E400 -1e-400 NaN Infinity -Infinity 01 +1 .5 1. 0x1 '' undefined".split(),
    *"9007199254740993 9223372036854775807 9223372036854775808 -9223372036854775809 0.1 0.30000000000000004".split(),
    *('""', '"1"', '"x"', '" 1 "', '"true"', '"2024-02-29"', '"2024-02-29T12:00:00Z"', '"P1DT1S"', '"a\tb"', '"\\x"'),
    *('"\\u0000"', '"\\ud800"', '"\\ude00\\ud83d"', '"\\ud83d\\ude00"', '"\u00e9\u2028"', '"\ud800"'),
    *("[]", "{}", "[[]]", "[1,]", "[1 2]", '{"a":1}', '{"a":1,"a":2}', '{"a":1,}', "{1:2}", '{"":{}}', "", " "),
    *("123456789012345678901234567890.5", "9" * 40, "9" * 4400, "[" * 40 + "]" * 40),
]

# A parameter's value, before it is percent-encoded.
ODD_TEXT = [
    *"0 -0 1 -1 +1 01 1_0 1.0 1. .5 1e3 1e400 nan inf -Infinity 0x1 true True on off yes null None 1.10 12:00".split(),
    *"9223372036854775807 9223372036854775808 -9223372036854775809 2024-02-29 2023-02-29 2024-02-29T12:00Z".split(),
    *'12345678123456781234567812345678 a,b a;b a&b=c a+b a/b ../x {} [1] "q" \u00e9 \u65e5\u672c \U0001f40d'.split(),
    *("", " ", "1 ", " 1", "\t1", "1\n", "a\x00b", "\u0661", "\u00b2", "\uff11", "\ud800"),
    *("9" * 30, "9" * 3000, "0." + "1" * 30, "x" * 3000),
]

# Pieces of a target, sent as they are.
ODD_ENCODED = [
    *"% %z %zz %2 %ff %C3 %C3%28 %ED%A0%80 %F4%90%80%80 %00 %2F %2f %25 + %2B %20 %26 %3D %u0041".split(),
    *"; = & ~ ' ( * @ : ! $ ,".split(),
]

ODD_BODIES = [
    *(b"", b" ", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf{}", b"{", b"}", b"[1", b'"\xed\xa0\x80"', b'"\xff"', b"a=1&b=2"),
    *(b"\n{}\n", b"{}{}", '{"a": 1}'.encode("utf-16"), '{"a": 1}'.encode("utf-32-be")),
    *(b"[" * 3000, b'"' + b"x" * 66_000 + b'"', b"{}" + b" " * 66_000),
]

ODD_TYPES = [
    *(
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/vnd.x+json",
        "text/plain",
    ),
    *("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/", "application/jsonx"),
]

METHODS = "GET POST PUT PATCH DELETE HEAD OPTIONS TRACE PURGE get".split()

# Headers that mean something to some application.
FIELDS = [
    (b"Origin", b"https://page.test"),
    (b"Origin", b"null"),
    (b"Access-Control-Request-Method", b"GET"),
    (b"Authorization", b"Bearer me"),
    (b"Authorization", b"Basic bWU6eA=="),
    (b"X-Key", b"k"),
    (b"Accept-Encoding", b"gzip"),
    (b"X-Forwarded-Proto", b"https"),
    (b"Accept", b"*/*"),
    (b"X-Latin", b"\xe9\xff"),
]
