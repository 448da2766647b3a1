"""Tokenizes with Python's tokenizers: reads an object of `files` (what tokenizer.json would hold) and `texts`, and writes a line of JSON
for each file: of each text the ids with what the post-processor adds, without, with special tokens as text, and the text of the last.
With `changed` the files may be anything: a line is null for one that is no tokenizer, and a row null where a text has no tokens."""

import json
import sys

from tokenizers import Tokenizer

given = json.load(sys.stdin)
# What the crate panics at is an exception of Python's that is no Exception.
expected = BaseException if given.get("changed") else ()


def row(tokenizer, text):
    try:
        ids = tokenizer.encode(text).ids
        bare = tokenizer.encode(text, add_special_tokens=False).ids
        tokenizer.encode_special_tokens = True
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        tokenizer.encode_special_tokens = False
        return [ids, bare, plain, tokenizer.decode(plain, skip_special_tokens=False)]
    except expected:
        return None


for file in given["files"]:
    try:
        tokenizer = Tokenizer.from_str(file)
        tokenizer.no_truncation()
        tokenizer.no_padding()
    except expected:
        print("null", flush=True)
        continue
    print(json.dumps([row(tokenizer, text) for text in given["texts"]]), flush=True)
