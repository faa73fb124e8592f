from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from index.errors import ConfigError
from qa.configuration.config import Config, load_config, unknown_variables
from qa.configuration.keys import ApiKey, Role
from qa.configuration.settings import EncoderConfig


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in unknown_variables():
        monkeypatch.delenv(name)


def write(folder: Path, yaml: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(yaml, encoding="utf-8")
    return file


def value_of(config: Config, key: str) -> object:
    found: object = config
    for part in key.split("."):
        found = getattr(found, part)
    return found


def api_key(name: str, role: Role, key: str) -> ApiKey:
    return ApiKey(name=name, role=role, key=SecretStr(key))


ENDPOINT = "{model: x, base_url: 'http://here/v1'}"
LLM = "llm: {model: x, base_url: 'http://here/v1', %s}"
# An endpoint needs a model and a model an endpoint.
COMPANIONS = {
    "encoder.base_url": {"QA_ENCODER_MODEL": "x"},
    "llm.model": {"QA_LLM_BASE_URL": "http://here/v1"},
    "llm.base_url": {"QA_LLM_MODEL": "x"},
}

# key, in YAML, what becomes of it, another value as a variable, what becomes of that
KEYS = [
    ("corpus", "corpus: [a, b]", {"a": Path("a"), "b": Path("b")}, "c, d/e", {"c": Path("c"), "e": Path("d/e")}),
    ("data_dir", "data_dir: there", Path("there"), "elsewhere", Path("elsewhere")),
    ("trash.max_days", "trash: {max_days: 7}", 7.0, "0.5", 0.5),
    ("trash.max_mb", "trash: {max_mb: 10}", 10, "20", 20),
    ("encoder.model", "encoder: {model: ours}", "ours", "theirs", "theirs"),
    ("encoder.base_url", f"encoder: {ENDPOINT}", "http://here/v1", "http://there/v1", "http://there/v1"),
    ("encoder.api_key", "encoder: {model: x, api_key: k}", SecretStr("k"), "other", SecretStr("other")),
    ("encoder.timeout_s", "encoder: {timeout_s: 2.5}", 2.5, "9", 9.0),
    ("encoder.batch_size", "encoder: {batch_size: 8}", 8, "16", 16),
    ("encoder.device", "encoder: {device: cpu}", "cpu", "cuda:0", "cuda:0"),
    ("encoder.query_prompt", "encoder: {query_prompt: 'query: '}", "query: ", "", ""),
    ("encoder.document_prompt", "encoder: {document_prompt: ''}", "", "passage: ", "passage: "),
    ("encoder.trust_remote_code", "encoder: {trust_remote_code: true}", True, "false", False),
    ("reranker.model", "reranker: {model: ours}", "ours", "", ""),
    ("llm.model", f"llm: {ENDPOINT}", "x", "y", "y"),
    ("llm.base_url", f"llm: {ENDPOINT}", "http://here/v1", "http://there/v1", "http://there/v1"),
    ("llm.api_key", LLM % "api_key: k", SecretStr("k"), "other", SecretStr("other")),
    ("llm.passages", LLM % "passages: 3", 3, "4", 4),
    ("llm.timeout_s", LLM % "timeout_s: 2.5", 2.5, "9", 9.0),
    ("llm.idle_timeout_s", LLM % "idle_timeout_s: 2.5", 2.5, "9", 9.0),
    ("llm.max_tokens", LLM % "max_tokens: 9", 9, "", None),
    ("llm.temperature", LLM % "temperature: 0.5", 0.5, "", None),
    ("dictionary", "dictionary: ours.txt", Path("ours.txt"), "theirs.txt", Path("theirs.txt")),
    ("synonyms", "synonyms: ours.txt", Path("ours.txt"), "", None),
    ("store", "store: local", "local", "milvus", "milvus"),
    ("milvus.uri", "milvus: {uri: 'http://a:1'}", "http://a:1", "https://b", "https://b"),
    ("milvus.token", "milvus: {token: a}", SecretStr("a"), "", None),
    ("milvus.database", "milvus: {database: a}", "a", "", ""),
    ("milvus.collection_prefix", "milvus: {collection_prefix: a_1}", "a_1", "b", "b"),
    ("milvus.vector_index", "milvus: {vector_index: HNSW}", "HNSW", "DISKANN", "DISKANN"),
    ("milvus.shards", "milvus: {shards: 2}", 2, "4", 4),
    ("milvus.replicas", "milvus: {replicas: 2}", 2, "3", 3),
    ("milvus.timeout_s", "milvus: {timeout_s: 2.5}", 2.5, "9", 9.0),
    ("server.host", "server: {host: 0.0.0.0}", "0.0.0.0", "::1", "::1"),
    ("server.port", "server: {port: 9000}", 9000, "9001", 9001),
    ("server.public_url", "server: {public_url: 'https://a.b/c'}", "https://a.b/c", "", None),
    (
        "server.api_keys",
        f"server: {{api_keys: ['a:read:{'k' * 24}']}}",
        (api_key("a", "read", "k" * 24),),
        f"b:admin:{'x' * 24},c:read:{'y' * 24}",
        (api_key("b", "admin", "x" * 24), api_key("c", "read", "y" * 24)),
    ),
    ("server.api_keys_file", "server: {api_keys_file: keys}", Path("keys"), "", None),
    ("server.allowed_hosts", "server: {allowed_hosts: [a.b]}", ("a.b",), "c,d", ("c", "d")),
    ("server.cors_origins", "server: {cors_origins: ['http://a']}", ("http://a",), "", ()),
    (
        "server.trusted_proxies",
        "server: {trusted_proxies: [10.0.0.0/8]}",
        ("10.0.0.0/8",),
        "::1,127.0.0.1",
        ("::1", "127.0.0.1"),
    ),
    ("server.max_upload_mb", "server: {max_upload_mb: 5}", 5, "7", 7),
    ("server.rate_limit", "server: {rate_limit: 5/minute}", "5/minute", "", ""),
    ("server.max_concurrent", "server: {max_concurrent: 2}", 2, "3", 3),
    ("server.max_queued", "server: {max_queued: 0}", 0, "3", 3),
    ("server.max_connections", "server: {max_connections: 9}", 9, "3", 3),
    ("server.timeout_s", "server: {timeout_s: 1.5}", 1.5, "3", 3.0),
    ("server.read_timeout_s", "server: {read_timeout_s: 1.5}", 1.5, "3", 3.0),
    ("server.grace_s", "server: {grace_s: 0}", 0, "3", 3),
    ("server.workers", "server: {workers: 2}", 2, "3", 3),
    ("server.log_format", "server: {log_format: json}", "json", "", None),
    ("server.log_questions", "server: {log_questions: true}", True, "false", False),
    ("server.otlp_endpoint", "server: {otlp_endpoint: 'http://a'}", "http://a", "", None),
    ("bots.rate_limit", "bots: {rate_limit: 5/hour}", "5/hour", "", None),
    ("bots.workers", "bots: {workers: 4}", 4, "1", 1),
    ("bots.max_waiting", "bots: {max_waiting: 9}", 9, "8", 8),
    ("bots.turns", "bots: {turns: 0}", 0, "3", 3),
    ("bots.forget_after_s", "bots: {forget_after_s: 60}", 60.0, "2.5", 2.5),
    ("dingtalk.client_id", "dingtalk: {client_id: a}", "a", "", None),
    ("dingtalk.client_secret", "dingtalk: {client_secret: a}", SecretStr("a"), "b", SecretStr("b")),
    ("dingtalk.base_url", "dingtalk: {base_url: 'http://a'}", "http://a", "", "https://api.dingtalk.com"),
    ("feishu.app_id", "feishu: {app_id: a}", "a", "b", "b"),
    ("feishu.app_secret", "feishu: {app_secret: a}", SecretStr("a"), "b", SecretStr("b")),
    ("feishu.mode", "feishu: {mode: callback}", "callback", "websocket", "websocket"),
    ("feishu.verification_token", "feishu: {verification_token: a}", SecretStr("a"), "b", SecretStr("b")),
    ("feishu.encrypt_key", "feishu: {encrypt_key: a}", SecretStr("a"), "", None),
    ("feishu.base_url", "feishu: {base_url: 'https://a'}", "https://a", "https://b", "https://b"),
    ("feishu.host", "feishu: {host: 0.0.0.0}", "0.0.0.0", "::1", "::1"),
    ("feishu.port", "feishu: {port: 9000}", 9000, "9001", 9001),
    ("wecom.bot_id", "wecom: {bot_id: a}", "a", "b", "b"),
    ("wecom.secret", "wecom: {secret: a}", SecretStr("a"), "b", SecretStr("b")),
    ("wecom.url", "wecom: {url: 'wss://a/b'}", "wss://a/b", "wss://c", "wss://c"),
    ("slack.bot_token", "slack: {bot_token: a}", SecretStr("a"), "b", SecretStr("b")),
    ("slack.app_token", "slack: {app_token: a}", SecretStr("a"), "b", SecretStr("b")),
    ("slack.base_url", "slack: {base_url: 'http://a/api/'}", "http://a/api/", "http://b/", "http://b/"),
]


def test_every_key_is_tested():
    keys: list[str] = []
    for name, field in Config.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        keys.extend(f"{name}.{key}" for key in inner) if inner else keys.append(name)
    assert keys == [key for key, *_ in KEYS]


@pytest.mark.parametrize(("key", "yaml", "written", "variable", "overridden"), KEYS, ids=lambda found: None)
def test_key_by_file_and_by_environment(tmp_path, monkeypatch, key, yaml, written, variable, overridden):
    file = write(tmp_path, yaml)
    assert value_of(load_config(file), key) == written
    monkeypatch.setenv(f"QA_{key.replace('.', '_').upper()}", variable)
    assert unknown_variables() == []
    assert value_of(load_config(file), key) == overridden
    monkeypatch.chdir(tmp_path)
    file.unlink()
    for name, companion in COMPANIONS.get(key, {}).items():
        monkeypatch.setenv(name, companion)
    assert value_of(load_config(), key) == overridden


def test_a_variable_overrides_one_key_of_a_group(tmp_path, monkeypatch):
    monkeypatch.setenv("QA_SERVER_PORT", "9001")
    server = load_config(write(tmp_path, "server: {host: 0.0.0.0, port: 9000}")).server
    assert (server.host, server.port) == ("0.0.0.0", 9001)


@pytest.mark.parametrize("yaml", ["", "# nothing yet\n", "encoder: {}"])
def test_defaults(tmp_path, yaml):
    config = load_config(write(tmp_path, yaml))
    assert config.model_dump() == Config().model_dump()
    assert config.base == tmp_path
    assert config.corpus_folders == {"seeds": tmp_path / "seeds"}
    assert config.index_dir == tmp_path / "data"


def test_without_a_file_paths_count_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config().base == tmp_path
    (tmp_path / "deep").mkdir()
    file = write(tmp_path / "deep", "corpus: [papers]")
    for path in (Path("deep/config.yaml"), "deep/config.yaml", file):
        assert load_config(path).corpus_folders == {"papers": tmp_path / "deep" / "papers"}
    monkeypatch.chdir(tmp_path / "deep")
    assert load_config().corpus_folders == {"papers": tmp_path / "deep" / "papers"}


def test_relative_paths_of_variables_count_from_the_file_too(tmp_path, monkeypatch):
    monkeypatch.setenv("QA_CORPUS", "papers")
    monkeypatch.setenv("QA_DATA_DIR", "index")
    config = load_config(write(tmp_path, ""))
    assert config.corpus_folders == {"papers": tmp_path / "papers"}
    assert config.index_dir == tmp_path / "index"


def test_absolute_and_home_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/of/someone")
    config = load_config(write(tmp_path, "corpus: [/srv/papers, ~/notes]\ndata_dir: ~/index"))
    assert config.corpus_folders == {"papers": Path("/srv/papers"), "notes": Path("/home/of/someone/notes")}
    assert config.index_dir == Path("/home/of/someone/index")


@pytest.mark.parametrize(
    ("yaml", "names"),
    [
        ("corpus: papers", ["papers"]),
        ("corpus: [papers/, 'notes']", ["papers", "notes"]),
        ("corpus: {公报: a/papers, 讲话: b/papers}", ["公报", "讲话"]),
        ("corpus:\n- a/papers\n- old: b/papers", ["papers", "old"]),
        ("corpus: [here: .]", ["here"]),
    ],
)
def test_collections_are_named(tmp_path, yaml, names):
    assert list(load_config(write(tmp_path, yaml)).corpus_folders) == names


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("corpus: [a/papers, b/papers]", "two folders are called 'papers'; name them"),
        ("corpus: [a, a: b]", "two folders are called 'a'"),
        ("corpus: {a: papers, b: papers/}", "corpus: 'a' is the same folder as 'b' ("),
        ("corpus: [papers, papers/new/deep]", "corpus: 'deep' lies inside 'papers' ("),
        ("corpus: [all: ., papers]", "'papers' lies inside 'all'"),
        ("corpus: [.]", "'.' says no name; write it as `name: folder`"),
        ("corpus: []", "corpus: give a folder"),
        ("corpus: {}", "corpus: give a folder"),
        ("corpus: ''", "corpus: give a folder"),
        ("corpus: 3", "corpus: give a folder"),
        ("corpus: {a: 3}", "3 is not a folder"),
        ("corpus: {a: }", "is not a folder"),
        ("data_dir: ''", "data_dir: give a folder"),
        ("data_dir: [a]", "data_dir: "),
        ("encoder: bundled", "encoder: "),
        ("encoder: {model: ''}", "encoder.model: "),
        ("encoder: {base_url: 'http://x'}", "encoder: base_url is set, but model is 'bundled'; name the model"),
        ("llm: {model: x}", "llm: model is set, but base_url is not; name the endpoint"),
        ("llm: {base_url: 'http://x'}", "llm: base_url is set, but model is not; name the model"),
        ("llm: {model: x, base_url: 'http://[x'}", "llm.base_url: is no address: "),
        ("llm: {model: x, base_url: 'http://x:99999'}", "llm.base_url: is no address: "),
        ("llm: {temperature: 3}", "llm.temperature: input should be less than or equal to 2 (got 3)"),
        ("encoder: {model: x, base_url: x}", "encoder.base_url: string should match pattern '^https?://"),
        ("encoder: {timeout_s: 0}", "encoder.timeout_s: input should be greater than 0 (got 0)"),
        ("encoder: {batch_size: 0}", "encoder.batch_size: input should be greater than or equal to 1 (got 0)"),
        ("encoder: {batchsize: 8}", "unknown key 'encoder.batchsize'; did you mean 'batch_size'?"),
        ("store: redis", "store: input should be 'local' or 'milvus'"),
        ("milvus: {uri: ./milvus.db}", "milvus.uri: string should match pattern '^https?://"),
        ("milvus: {collection_prefix: 1-a}", "milvus.collection_prefix: string should match pattern"),
        ("server: {port: 70000}", "server.port: input should be less than or equal to 65535 (got 70000)"),
        ("server: {port: many}", "server.port: input should be a valid integer"),
        ("server: {prot: 1}", "unknown key 'server.prot'; did you mean 'port'?"),
        ("server: {cors_origins: ['*']}", "server.cors_origins.0: string should match pattern"),
        ("server: {rate_limit: often}", "server.rate_limit: write it as in 600/minute"),
        ("server: {otlp_endpoint: 'a:1'}", "server.otlp_endpoint: string should match pattern"),
        ("server: {api_keys: [5]}", "server.api_keys: must be a list of name:role:KEY"),
        ("server: {api_keys: {a: b}}", "server.api_keys: must be a list of name:role:KEY"),
        ("server: {api_keys: ['a:read:short']}", "server.api_keys: the key of 'a' must be 24 to 256 "),
        ("bots: {rate_limit: often}", "bots.rate_limit: write it as in 20/minute or 300/hour"),
        ("wecom: {url: 'ws://a'}", "wecom.url: string should match pattern"),
        ("slack: {bot_token: [x]}", "slack.bot_token: input should be a valid string"),
        ("corpsu: [a]", "unknown key 'corpsu'; did you mean 'corpus'?"),
        (
            "zzz: 1",
            "unknown key 'zzz'; known keys: corpus, data_dir, trash, encoder, reranker, ",
        ),
        ("corpsu: [a]\nserver: {port: x}", "; "),
        ("corpus: [", "is not valid YAML"),
        ("a: !!python/object/apply:os.getcwd []", "is not valid YAML"),
        ("- a", "must hold `key: value` lines"),
        ("1: a", "must hold `key: value` lines"),
        ("just words", "must hold `key: value` lines"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, yaml, words):
    file = write(tmp_path, yaml)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_is_never_shown(tmp_path, monkeypatch):
    for yaml in (
        "llm: {api_key: 31337}",
        "llm: {api_key: '31337', base_url: 'http://x'}",
        "encoder: {model: x, api_key: 31337}",
        "encoder: {api_key: '31337', base_url: 'http://x'}",
    ):
        with pytest.raises(ConfigError) as caught:
            load_config(write(tmp_path, yaml))
        assert "31337" not in str(caught.value)
    monkeypatch.setenv("QA_ENCODER_API_KEY", "31337")
    config = load_config(write(tmp_path, f"encoder: {ENDPOINT}"))
    assert "31337" not in repr(config) + str(config.model_dump())
    assert config.encoder_options.api_key == "31337"
    assert "31337" not in repr(config.encoder_options)


def test_a_folder_beside_the_file_is_a_model_but_no_endpoint_s(tmp_path):
    (tmp_path / "x").mkdir()
    assert load_config(write(tmp_path, "encoder: {model: x}")).encoder_model == str(tmp_path / "x")
    assert load_config(write(tmp_path, f"encoder: {ENDPOINT}")).encoder_model == "x"


def test_an_empty_variable_undoes_an_endpoint(tmp_path, monkeypatch):
    file = write(tmp_path, f"encoder: {ENDPOINT}")
    monkeypatch.setenv("QA_ENCODER_MODEL", "bundled")
    for name in ("BASE_URL", "API_KEY", "DEVICE"):
        monkeypatch.setenv(f"QA_ENCODER_{name}", "")
    assert load_config(file).encoder == EncoderConfig()


def test_file_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(ConfigError, match=r"missing\.yaml: No such file"):
        load_config(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load_config(tmp_path)
    (tmp_path / "gbk.yaml").write_bytes("corpus: 文件".encode("gbk"))
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load_config(tmp_path / "gbk.yaml")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("QA_SERVER_PORT", "many", "server.port: .*'many' from QA_SERVER_PORT in the environment"),
        ("QA_SERVER_PROT", "1", "unknown key 'server.prot'; did you mean 'port'"),
        ("QA_CORPUS", " , ", "corpus: give a folder"),
        ("QA_DATA_DIR", "", "data_dir: give a folder .*from QA_DATA_DIR"),
        ("QA_ENCODER", "bundled", "environment: .*encoder"),
    ],
)
def test_wrong_variable(tmp_path, monkeypatch, name, value, words):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=words):
        load_config(write(tmp_path, ""))


def test_variables_that_are_no_settings(monkeypatch):
    monkeypatch.setenv("QA_DATADIR", "x")
    monkeypatch.setenv("QA_DATA_DIR", "x")
    assert unknown_variables() == ["QA_DATADIR"]
