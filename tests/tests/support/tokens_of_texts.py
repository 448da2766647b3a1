"""Tokenizes with Python's tokenizers: reads an object of `files` (what tokenizer.json would hold) and `texts`, and writes a line of JSON
for each file: of each text the ids with what the post-processor adds, without, with special tokens as text, and the text of the last."""

import json
import sys

from tokenizers import Tokenizer

given = json.load(sys.stdin)
for file in given["files"]:
    tokenizer = Tokenizer.from_str(file)
    rows = []
    for text in given["texts"]:
        ids = tokenizer.encode(text).ids
        bare = tokenizer.encode(text, add_special_tokens=False).ids
        tokenizer.encode_special_tokens = True
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        tokenizer.encode_special_tokens = False
        rows.append([ids, bare, plain, tokenizer.decode(plain, skip_special_tokens=False)])
    print(json.dumps(rows))
