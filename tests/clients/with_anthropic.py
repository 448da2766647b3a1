"""The `anthropic` package against `lantern serve`: `python with_anthropic.py http://127.0.0.1:8080`."""

import json
import sys

import anthropic

SERVER = sys.argv[1]
client = anthropic.Anthropic(base_url=SERVER, api_key="none", max_retries=0)
HELLO = [{"role": "user", "content": "What is the capital of France?"}]
# Version 2 of the package has no argument for the temperature.
ASK = {"model": "any", "max_tokens": 12, "messages": HELLO, "extra_body": {"temperature": 0}}


def messages():
    whole = client.messages.create(**ASK, system="You are a helpful assistant.")
    assert whole.content[0].type == "text" and "Paris" in whole.content[0].text, whole
    assert whole.usage.output_tokens > 0 and whole.stop_reason in ("end_turn", "max_tokens"), whole
    with client.messages.stream(**ASK, system=[{"type": "text", "text": "You are a helpful assistant."}]) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text, text
    assert final.usage.output_tokens == whole.usage.output_tokens, final
    stopped = client.messages.create(**ASK, stop_sequences=["Paris"])
    assert stopped.stop_reason == "stop_sequence" and stopped.stop_sequence == "Paris", stopped


def conversations():
    thoughts = {"type": "thinking", "thinking": "Easy.", "signature": "x"}
    turns = [*HELLO, {"role": "assistant", "content": [thoughts, {"type": "text", "text": "Paris."}]}]
    turns.append({"role": "user", "content": [{"type": "text", "text": "And of Italy?"}]})
    asked = {**ASK, "messages": turns}
    counted = client.messages.count_tokens(model="any", messages=turns)
    usage = client.messages.create(**asked, thinking={"type": "disabled"}).usage
    assert counted.input_tokens == usage.input_tokens + usage.cache_read_input_tokens, (counted, usage)


def tools():
    city = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}}, "required": ["city"]}
    tool = {"name": "get_weather", "description": "The weather in a city.", "input_schema": city}
    question = [{"role": "user", "content": "How is the weather in Paris?"}]
    ask = {**ASK, "max_tokens": 80, "tools": [tool]}
    choice = {"type": "any", "disable_parallel_tool_use": True}
    whole = client.messages.create(**{**ask, "messages": question}, tool_choice=choice)
    [call] = whole.content
    assert whole.stop_reason == "tool_use" and call.input["city"] in ("Paris", "Rome"), whole
    with client.messages.stream(**{**ask, "messages": question}, tool_choice=choice) as stream:
        [streamed] = stream.get_final_message().content
    assert streamed.input == call.input, streamed
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    turns = [*question, {"role": "assistant", "content": whole.content}, {"role": "user", "content": [result]}]
    answer = client.messages.create(**{**ask, "messages": turns}, tool_choice={"type": "none"})
    assert answer.content[0].type == "text", answer


def errors():
    for wrong in [{"extra_body": {"temperature": -1}}, {"messages": []}, {"max_tokens": 0}]:
        try:
            client.messages.create(**{**ASK, **wrong})
        except anthropic.BadRequestError as error:
            assert error.body["error"]["type"] == "invalid_request_error", error.body
        else:
            raise AssertionError(f"{wrong} was not refused")


for check in [messages, conversations, tools, errors]:
    check()
    print(json.dumps({"anthropic": anthropic.__version__, "passed": check.__name__}))
