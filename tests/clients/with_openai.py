"""The `openai` package against `lantern serve`: `python with_openai.py http://127.0.0.1:8080`."""

import json
import sys

import openai
from pydantic import BaseModel

SERVER = sys.argv[1]
client = openai.OpenAI(base_url=f"{SERVER}/v1", api_key="none", max_retries=0)
MODEL = client.models.list().data[0].id
HELLO = [{"role": "user", "content": "What is the capital of France?"}]


class City(BaseModel):
    city: str
    people: int


def chats():
    whole = client.chat.completions.create(model=MODEL, messages=HELLO, temperature=0, max_tokens=12)
    assert "Paris" in whole.choices[0].message.content, whole
    pieces = client.chat.completions.create(
        model=MODEL,
        messages=HELLO,
        temperature=0,
        max_tokens=12,
        stream=True,
        stream_options={"include_usage": True},
    )
    text, usage = "", None
    for piece in pieces:
        text += piece.choices[0].delta.content or "" if piece.choices else ""
        usage = piece.usage or usage
    assert text == whole.choices[0].message.content, text
    assert usage.completion_tokens == whole.usage.completion_tokens
    parsed = client.chat.completions.parse(
        model=MODEL, messages=HELLO, response_format=City, max_tokens=100, temperature=0
    )
    assert isinstance(parsed.choices[0].message.parsed, City), parsed


def completions():
    two = client.completions.create(model=MODEL, prompt=["One, two,", "Red, green,"], n=2, max_tokens=3, seed=1)
    assert [one.index for one in two.choices] == [0, 1, 2, 3]


def responses():
    whole = client.responses.create(
        model=MODEL, input="What is the capital of France?", temperature=0, max_output_tokens=12, store=False
    )
    assert "Paris" in whole.output_text and whole.status == "completed", whole
    kinds, text = [], ""
    with client.responses.stream(model=MODEL, input=HELLO, temperature=0, max_output_tokens=12) as stream:
        for number, event in enumerate(stream):
            kinds.append(event.type)
            assert event.sequence_number >= number or event.type.endswith("delta"), event
            text += event.delta if event.type == "response.output_text.delta" else ""
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds
    assert text == whole.output_text, text
    parsed = client.responses.parse(
        model=MODEL, instructions="Answer.", input=HELLO, text_format=City, max_output_tokens=100, temperature=0
    )
    assert isinstance(parsed.output_parsed, City), parsed
    refused(lambda: client.responses.create(model=MODEL, input="Hi", previous_response_id="resp_1"))


def tools():
    city = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}}, "required": ["city"]}
    function = {"name": "get_weather", "description": "The weather in a city.", "parameters": city}
    ask = {"model": MODEL, "temperature": 0, "tools": [{"type": "function", "function": function}]}
    ask["parallel_tool_calls"] = False
    question = [{"role": "user", "content": "How is the weather in Paris?"}]
    whole = client.chat.completions.create(messages=question, tool_choice="required", **ask)
    [call] = whole.choices[0].message.tool_calls
    assert whole.choices[0].finish_reason == "tool_calls" and call.function.name == "get_weather", whole
    assert json.loads(call.function.arguments)["city"] in ("Paris", "Rome"), call
    with client.chat.completions.stream(messages=question, tool_choice="required", **ask) as stream:
        final = stream.get_final_completion()
    [streamed] = final.choices[0].message.tool_calls
    assert streamed.function.arguments == call.function.arguments, final
    said = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    turns = [*question, whole.choices[0].message, said]
    answer = client.chat.completions.create(messages=turns, max_tokens=12, tool_choice="none", **ask)
    assert answer.choices[0].message.content, answer
    tool = {"type": "function", **function}
    asked = {"model": MODEL, "temperature": 0, "tools": [tool], "parallel_tool_calls": False, "max_output_tokens": 80}
    with client.responses.stream(input=question, tool_choice="required", **asked) as stream:
        [item] = stream.get_final_response().output
    assert item.type == "function_call" and item.arguments == call.function.arguments, item
    output = {"type": "function_call_output", "call_id": item.call_id, "output": "sunny"}
    turns = [*question, {"type": "function_call", "call_id": item.call_id, "name": item.name, "arguments": item.arguments}, output]
    assert client.responses.create(input=turns, tool_choice="none", **asked).output_text


def embeddings():
    # The package asks for base64 by itself.
    two = client.embeddings.create(model=MODEL, input=["The sky is blue.", "Grass is green."])
    plain = client.embeddings.create(model=MODEL, input=["The sky is blue."], encoding_format="float")
    assert len(two.data) == 2
    assert all(abs(a - b) < 1e-6 for a, b in zip(two.data[0].embedding, plain.data[0].embedding))


def refused(request):
    try:
        request()
    except openai.BadRequestError as error:
        assert error.body["message"], error
    else:
        raise AssertionError("it was not refused")


def errors():
    refused(lambda: client.chat.completions.create(model=MODEL, messages=HELLO, temperature=-1))
    refused(lambda: client.chat.completions.create(model=MODEL, messages=[]))


for check in [chats, completions, responses, tools, embeddings, errors]:
    check()
    print(json.dumps({"openai": openai.__version__, "passed": check.__name__}))
