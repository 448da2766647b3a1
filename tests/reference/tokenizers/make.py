"""Writes unigram.json, wordpiece.json and world.json beside it: small vocabularies, and the ids that the tokenizers' own programs give
for texts of several scripts. Made with Python 3.11, sentencepiece 0.2.1, protobuf 7.36.2, tokenizers 0.23.3 and rwkv 0.8.32 (the last
installed without what it depends on, which is for running models):

    python make.py
"""

import io
import json
import tempfile
from pathlib import Path

import sentencepiece
from rwkv.rwkv_tokenizer import TRIE_TOKENIZER
from sentencepiece import sentencepiece_model_pb2 as pb
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

FOLDER = Path(__file__).parent

CORPUS = """The quick brown fox jumps over the lazy dog, and the dog sleeps on.
A small bird sings in the rain; the rain falls on the small town.
Der schnelle braune Fuchs springt über den faulen Hund. Übung macht den Meister.
Le café est très agréable, l'été déjà passé. Où êtes-vous allé hier?
El niño pequeño come una manzana. ¿Dónde está la biblioteca?
Быстрая коричневая лиса прыгает через ленивую собаку. Привет, мир!
Η γρήγορη καφέ αλεπού πηδά πάνω από το τεμπέλικο σκυλί.
敏捷的棕色狐狸跳过了懒狗。我们在学校学习中文。今天天气很好。
素早い茶色の狐はのろまな犬を飛び越える。カタカナとガラスとパン。
빠른 갈색 여우가 게으른 개를 뛰어넘는다. 안녕하세요 세계.
तेज़ भूरी लोमड़ी आलसी कुत्ते के ऊपर कूदती है। नमस्ते दुनिया।
الثعلب البني السريع يقفز فوق الكلب الكسول. مرحبا بالعالم.
השועל החום המהיר קופץ מעל הכלב העצלן. שלום עולם.
สุนัขจิ้งจอกสีน้ำตาลกระโดดข้ามสุนัขขี้เกียจ สวัสดีชาวโลก
1 12 123 1234 2024-12-31 3.14 50% $5 (x) [y] {z} a+b=c""".split("\n")

TEXTS = CORPUS + [
    "",
    " ",
    "   ",
    "\t\n",
    "a",
    " a",
    "a ",
    "  two  spaces   and more  ",
    "line\nline\r\nline\n\n\nend\n",
    "tab\there",
    "no\u00a0break\u3000wide\u2003em",
    "zero\u200bwidth\u200djoiner\ufeffmark",
    "soft\u00adhyphen",
    "Cafe\u0301 nai\u0308ve e\u0301\u0301 \u0301alone",
    "É é É é Ångström ﬁnal ﬀ ½ ² ™ Ⅷ ㌀ ㍿",
    "ＦＵＬＬ　ｗｉｄｔｈ　１２３！",
    "ｶﾞｷﾞｸﾞ ﾊﾟﾋﾟ ｱｲｳ",
    "한글 테스트 조합: 한글",
    "हिन्दी में लिखा हुआ वाक्य",
    "İstanbul ıssız ẞ ß ǅ ΑΣ ς",
    "emoji 😀🦙👨‍👩‍👧🇩🇪👍🏽 ok",
    "☃ ♥ → ∞ ∑ √",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 𠀀",
    "!!! ... ??? --- ___ ~~~ ``` |||",
    "don't can't 'quoted' \"double\"",
    "snake_case camelCase kebab-case a.b.c x@y.z",
    "http://example.org/path?q=1&r=2#frag",
    "\x00null\x01control\x7f\x85\x0b\x0c",
    "\ufffd replaced",
    "x" * 130,
    "the" * 60,
    "🦙" * 20,
    "unknownunknown ჯჯჯ ᚠᚢᚦ ok ጀጀ",
    "<s> </s> <unk> [CLS] [SEP] [MASK]",
]

# Sources and targets of a table of letters as SentencePiece's own: of each source the longest counts.
LETTERS = {
    "\u00a0": " ", "\u3000": " ", "\u2003": " ", "\t": " ", "\n": " ", "\r": " ", "\u200b": "", "\ufeff": "", "\x01": "", "\x7f": "",
    "e\u0301": "é", "E\u0301": "É", "i\u0308": "ï", "ﬁ": "fi", "ﬀ": "ff", "½": "1⁄2", "²": "2", "™": "TM", "Ⅷ": "VIII",
    "㌀": "アパート", "㍿": "株式会社", "！": "!", "ｶ": "カ", "ｶﾞ": "ガ", "ｷ": "キ", "ｷﾞ": "ギ", "ﾊ": "ハ", "ﾊﾟ": "パ", "ﾋ": "ヒ", "ﾋﾟ": "ピ",
    "ｱ": "ア", "ｲ": "イ", "ｳ": "ウ", "´": " \u0301", "\ufffd": "?",
} | {chr(0xFEE0 + ord(c)): c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"}


def unigram():
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "letters.tsv")
        rows = ("\t".join(" ".join(f"{ord(c):X}" for c in text) for text in row) for row in LETTERS.items())
        table.write_text("\n".join(rows) + "\n")
        written = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS * 3), model_writer=written, model_type="unigram", vocab_size=700, hard_vocab_limit=False,
            character_coverage=1.0, normalization_rule_tsv=str(table), byte_fallback=True, num_threads=1, minloglevel=2,
        )
    model = pb.ModelProto.FromString(written.getvalue())
    model.normalizer_spec.normalization_rule_tsv = ""
    variants = []
    for prefix, single, fallback in [(1, 1, 0), (0, 1, 0), (1, 0, 0), (0, 0, 0), (1, 1, 1)]:
        model.normalizer_spec.add_dummy_prefix = bool(prefix)
        model.normalizer_spec.remove_extra_whitespaces = bool(single)
        model.trainer_spec.byte_fallback = bool(fallback)
        for piece in model.pieces:  # without fallback, its tokens are ones that no text is made of
            if piece.piece.startswith("<0x"):
                piece.type = pb.ModelProto.SentencePiece.Type.BYTE if fallback else pb.ModelProto.SentencePiece.Type.UNUSED
        processor = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
        ids = [processor.encode(text) for text in TEXTS]
        variants.append({"add_space_prefix": bool(prefix), "remove_extra_whitespaces": bool(single), "bytes": bool(fallback), "ids": ids})
    return {
        "tokens": [piece.piece for piece in model.pieces],
        "scores": [piece.score for piece in model.pieces],
        "types": [piece.type for piece in model.pieces],
        "charsmap": list(model.normalizer_spec.precompiled_charsmap),
        "texts": TEXTS,
        "variants": variants,
    }


def wordpiece():
    letters = set("".join(CORPUS))
    decomposed = normalizers.NFD()
    letters |= set(decomposed.normalize_str("".join(CORPUS)))
    letters = sorted(letter for letter in letters if not letter.isspace())
    words = ["the", "quick", "dog", "rain", "cafe", "café", "uber", "über", "中", "नम", "안", "12"]
    pieces = ["ing", "s", "ed", "中", "est", "12"]
    begin, more = sorted({*letters, *words}), sorted({*letters, *pieces})
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *begin, *("##" + piece for piece in more)]
    variants = []
    for lower, strip in [(True, None), (False, None), (True, False), (False, True)]:
        ids = {token: id for id, token in enumerate(vocab)}
        tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=10_000))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower, strip_accents=strip)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        pairs = [tokenizer.encode(first, second).ids for first, second in zip(TEXTS[:8], TEXTS[1:9])]
        variants.append({"lowercase": lower, "strip_accents": strip, "ids": [tokenizer.encode(text).ids for text in TEXTS], "pairs": pairs})
    # As llama.cpp's converter writes them.
    plain = lambda token: token if token[0] == "[" and token[-1] == "]" and len(token) > 1 else "\u2581" + token
    tokens = [token[2:] if token.startswith("##") else plain(token) for token in vocab]
    return {"tokens": tokens, "types": [3] * 5 + [1] * (len(vocab) - 5), "texts": TEXTS, "variants": variants}


def world():
    words = ["the", "the quick", " the", "dog", " dog", "\n\n", "\r\n", "  ", "    ", "''", "\\n", "\\", "'", '"', "中文", "学校", "über", "ing"]
    cut = [b"\xe4\xb8", b"\xf0\x9f", b"\xf0\x9f\xa6\x99", b"\xe3\x81", b"\xd0\xbf\xd1", b"x" * 40]
    tokens = [bytes([byte]) for byte in range(256)]
    tokens += [token for token in [*(word.encode() for word in words), *cut] if token not in tokens]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "vocabulary.txt")
        file.write_text("".join(f"{id} {token!r} {len(token)}\n" for id, token in enumerate(tokens, 1)))
        ids = [TRIE_TOKENIZER(file).encode(text) for text in TEXTS]
    # As llama.cpp's converter writes them.
    written = ["<s>", *(repr(token)[2:-1] for token in tokens), "[PAD0]"]
    return {"tokens": written, "types": [3] + [1] * len(tokens) + [5], "texts": TEXTS, "ids": ids}


for name, made in [("unigram", unigram()), ("wordpiece", wordpiece()), ("world", world())]:
    text = json.dumps(made, ensure_ascii=False, separators=(",", ":"))
    FOLDER.joinpath(f"{name}.json").write_text(text + "\n")
