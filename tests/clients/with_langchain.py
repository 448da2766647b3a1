"""The `langchain-openai` package against `lantern serve`: `python with_langchain.py http://127.0.0.1:8080`."""

import importlib.metadata
import json
import sys

from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

SERVER = sys.argv[1]
ASK = {"base_url": f"{SERVER}/v1", "api_key": "none", "model": "any", "max_retries": 0}
QUESTION = "What is the capital of France?"


class City(BaseModel):
    city: str
    people: int


def chats():
    model = ChatOpenAI(**ASK, temperature=0, max_tokens=12)
    whole = model.invoke([("system", "You are a helpful assistant."), ("human", QUESTION)])
    assert "Paris" in whole.content and whole.usage_metadata["output_tokens"] > 0, whole
    pieces = [piece.content for piece in model.stream([("system", "You are a helpful assistant."), ("human", QUESTION)])]
    assert "".join(pieces) == whole.content, pieces


def forms():
    model = ChatOpenAI(**ASK, temperature=0, max_tokens=100)
    city = model.with_structured_output(City, method="json_schema").invoke(QUESTION)
    assert isinstance(city, City), city


def embeddings():
    # Texts go to the server as tokens of OpenAI's vocabulary unless that is turned off.
    model = OpenAIEmbeddings(**ASK, check_embedding_ctx_length=False)
    one, two = model.embed_documents(["The sky is blue.", "Grass is green."])
    assert len(one) == len(two) and one != two


for check in [chats, forms, embeddings]:
    check()
    print(json.dumps({"langchain-openai": importlib.metadata.version("langchain-openai"), "passed": check.__name__}))
