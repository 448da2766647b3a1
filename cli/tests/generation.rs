//! The verbs that compute, on the default model and whatever GPU is there. Names begin with `gpu_`, so that two run at a time.

#[path = "../../tests/tests/support/default_model.rs"]
mod default_model;
mod support;

use std::{fs, path::Path, process::Command};

use default_model::default_model as model;
use serde_json::Value;
use support::{folder, lantern, on_quicker, run};

/// A verb on the model, on the quicker of the software adapters where there are two.
fn verb(name: &str, model: &Path) -> Command {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")); // nothing is kept there: the model is named
    let mut command = on_quicker(cache);
    command.arg(name).arg(model);
    command
}

/// Runs a verb with `--json` and reads what it prints; it must end with 0.
fn json(command: &mut Command) -> Value {
    let (code, stdout, stderr) = run(command.arg("--json"));
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{e}: {stdout}"))
}

fn reference(case: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/smollm2");
    serde_json::from_str(&fs::read_to_string(folder.join(case)).unwrap()).unwrap()
}

#[test]
fn gpu_run_says_the_reference() {
    let Some(model) = model() else { return };
    let wanted = reference("france.json");
    let prompt = wanted["text"].as_str().unwrap();
    let arguments = ["--raw", "--greedy", "-n", "6", "-p", prompt];
    let report = json(verb("run", &model).args(arguments));
    assert_eq!(report["prompt_tokens"], wanted["tokens"]);
    let greedy = &wanted["greedy"].as_array().unwrap()[..6];
    assert_eq!(report["tokens"].as_array().unwrap(), greedy);
    assert_eq!(report["finish_reason"], "length");
    let rate = &report["timings"]["decode_tokens_per_second"];
    assert!(rate.as_f64().unwrap() > 0.0);
    // Without --json, stdout is the text, and nothing else.
    let (code, stdout, stderr) = run(verb("run", &model).args(arguments));
    assert_eq!(
        (code, stdout.trim_end()),
        (0, report["text"].as_str().unwrap().trim_end()),
        "{stderr}"
    );
}

#[test]
fn gpu_the_same_seed_says_the_same() {
    let Some(model) = model() else { return };
    let said = |seed: &str| {
        let mut command = verb("run", &model);
        command.args([
            "--temperature",
            "1.5",
            "-n",
            "12",
            "-p",
            "Hi",
            "--seed",
            seed,
        ]);
        json(&mut command)["tokens"].clone()
    };
    assert_eq!(said("7"), said("7"));
    assert_ne!(said("7"), said("8"));
}

#[test]
fn gpu_the_context_is_kept() {
    let Some(model) = model() else { return };
    let words = "one two three four five six seven eight nine ten";
    let long = ["--raw", "--context", "8", "-p", words];
    let (code, stdout, stderr) = run(verb("run", &model).args(long));
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(
        stderr.contains("10 tokens") && stderr.contains("holds 8") && stderr.contains("--context"),
        "{stderr}"
    );
    let full = ["--raw", "--context", "12", "--ignore-end", "-p", words];
    assert_eq!(
        json(verb("run", &model).args(full))["finish_reason"],
        "context-full"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn limits_are_checked_before_a_gpu_is_opened() {
    let Some(model) = model() else { return };
    let text = folder("limits").join("text");
    fs::write(&text, "one two three").unwrap();
    let text = text.to_str().unwrap();
    let refused: [(i32, &str, &[&str]); 5] = [
        (
            1,
            "99999999",
            &["logits", "--tokens", "99999999", "-o", "x"],
        ),
        (
            1,
            "holds 2",
            &["logits", "--tokens", "1 2 3", "--context", "2", "-o", "x"],
        ),
        (
            2,
            "--context 2",
            &["perplexity", "-f", text, "--context", "1"],
        ),
        (2, "--width 4097", &["plan", "--width", "4097"]),
        (
            2,
            "context of 65",
            &["bench", "-p", "64", "--context", "64"],
        ),
    ];
    for (wanted, words, arguments) in refused {
        let mut command = lantern(&folder("limits-run"));
        command.arg(arguments[0]).arg(&model).args(&arguments[1..]);
        command.env("VK_DRIVER_FILES", "/no/such/driver.json");
        command.env("VK_ICD_FILENAMES", "/no/such/driver.json");
        let (code, stdout, stderr) = run(&mut command);
        assert_eq!((code, stdout.as_str()), (wanted, ""), "{stderr}");
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
    }
}

#[test]
fn gpu_chat_answers_in_quiet_and_sends_slashes() {
    let Some(model) = model() else { return };
    let saved = folder("chat").join("saved.json");
    let (lines, path) = (folder("chat-lines").join("lines"), saved.display());
    fs::write(&lines, format!("/help\n//hi\n/save {path}\n")).unwrap();
    let mut command = verb("chat", &model);
    command.args(["-q", "-n", "2"]);
    let (code, _, stderr) = run(command.stdin(fs::File::open(lines).unwrap()));
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("/reset") && stderr.contains("2 messages saved"));
    let messages: Value = serde_json::from_str(&fs::read_to_string(saved).unwrap()).unwrap();
    assert_eq!(messages[0]["content"], "/hi");
}

#[cfg(unix)]
#[test]
fn gpu_ctrl_c_ends_an_answer() {
    use std::{io::Read, process::Stdio};
    let Some(model) = model() else { return };
    let mut command = verb("run", &model);
    command.args(["--ignore-end", "-p", "Count to a thousand."]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 4]).unwrap();
    let process = child.id().to_string();
    Command::new("kill")
        .args(["-INT", &process])
        .status()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn gpu_logits_and_perplexity() {
    let Some(model) = model() else { return };
    let folder = folder("logits");
    let (one, all, text) = (folder.join("one"), folder.join("all"), folder.join("text"));
    let logits = |flags: &[&str], path: &Path| {
        let mut command = verb("logits", &model);
        command
            .args(["--tokens", "504,3575,282"])
            .args(flags)
            .arg("-o")
            .arg(path);
        let (code, stdout, stderr) = run(&mut command);
        assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
        fs::read(path).unwrap()
    };
    let (one, all) = (logits(&[], &one), logits(&["--all"], &all));
    assert_eq!((one.len(), all.len()), (49152 * 4, 3 * 49152 * 4));
    fs::write(&text, "The quick brown fox jumps over the lazy dog.").unwrap();
    let report = json(verb("perplexity", &model).arg("-f").arg(&text));
    for key in ["perplexity", "bits_per_byte"] {
        assert!(report[key].as_f64().unwrap() > 0.0, "{key}: {report}");
    }
    assert_eq!(report["bytes_predicted"], 44 - "The".len());
    // What begins a chunk is not predicted, and its bytes do not count.
    let mut chunked = verb("perplexity", &model);
    let chunked = json(chunked.args(["--context", "4", "-f"]).arg(&text));
    let number = |key: &str| chunked[key].as_f64().unwrap();
    let count = |key: &str| chunked[key].as_u64().unwrap();
    assert_eq!(count("tokens").div_ceil(4), count("chunks"), "{chunked}");
    assert_eq!(count("nll_count"), count("tokens") - count("chunks"));
    assert!(number("bytes_predicted") < 40.0, "{chunked}");
    let nats = number("bits_per_byte") * number("bytes_predicted") * std::f64::consts::LN_2;
    assert!((nats / number("nll_sum") - 1.0).abs() < 1e-9, "{chunked}");
}

#[test]
fn gpu_bench_reports_rows_and_counters() {
    let Some(model) = model() else { return };
    let measure = |count| {
        let arguments = ["-p", "16", "-r", "2", "-n", count];
        json(verb("bench", &model).args(arguments))
    };
    let report = measure("4");
    let counters = &measure("8")["counters"];
    let dispatches = &counters["dispatches_per_token"];
    assert_eq!(
        &report["counters"]["dispatches_per_token"], dispatches,
        "exact, not an average"
    );
    let first = &report["time_to_first_token_ms"];
    let (warm, cold) = (first["warm"].as_f64().unwrap(), first["cold"].as_f64());
    assert!(warm > 0.0 && cold.unwrap() > report["load_ms"].as_f64().unwrap());
    assert!(report["counters"]["cache_bytes"].as_u64().unwrap() > 0);
    let over = &report["counters"]["gpu_bytes_over_weights_and_cache"];
    assert!(over.as_f64().unwrap() >= 1.0, "{over}");
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for (row, test) in rows.iter().zip(["pp16", "tg4"]) {
        assert_eq!((&row["test"], &row["depth"]), (&test.into(), &0.into()));
        let rate = &row["tokens_per_second"];
        assert_eq!(rate["samples"].as_array().unwrap().len(), 2);
        assert!(rate["mean"].as_f64().unwrap() > 0.0 && rate["deviation"].is_number());
    }
    for row in rows {
        // Both come of the same measured speed, whatever that is; what is expected counts every bound, the share one.
        let share = row["ceiling_share"].as_f64().unwrap();
        let expected = row["expected_tokens_per_second"].as_f64().unwrap();
        let reached = row["tokens_per_second"]["mean"].as_f64().unwrap() / expected;
        assert!(share > 0.0 && share <= reached * (1.0 + 1e-9), "{row}");
    }
    let ceilings = &report["ceilings"];
    assert!(
        ceilings["read_bytes_per_second"].as_f64().unwrap() > 1e8,
        "{ceilings}"
    );
    assert!(ceilings["read_by"].as_str().unwrap().starts_with("read."));
    assert!(report["counters"]["dispatches_per_token"].as_f64().unwrap() <= 215.0);
    assert_eq!(report["counters"]["buffers_created_per_token"], 0.0);
}

#[test]
fn gpu_tuning_is_done_once_and_kept() {
    let Some(model) = model() else { return };
    let cache = folder("tuning");
    let ask = |arguments: &[&str]| {
        let mut command = lantern(&cache);
        command
            .env("LANTERN_TUNING", "auto")
            .arg(arguments[0])
            .arg(&model);
        let (code, stdout, stderr) = run(command.args(&arguments[1..]));
        assert_eq!(code, 0, "{stderr}");
        (stdout, stderr)
    };
    let run_one = ["run", "--raw", "--greedy", "-n", "1", "-p", "The capital"];
    assert!(ask(&run_one).1.contains("measuring which kernels"));
    assert!(!ask(&run_one).1.contains("measuring which kernels"));
    let (stdout, _) = ask(&["tune", "--seconds", "1"]);
    assert!(
        stdout.contains("chosen") && stdout.contains("kept in"),
        "{stdout}"
    );

    let mut files = fs::read_dir(cache.join("tuning")).unwrap();
    let file = files.find_map(|file| {
        let path = file.unwrap().path();
        path.extension()
            .is_some_and(|e| e == "json")
            .then_some(path)
    });
    let file = file.unwrap();
    fs::write(&file, "{").unwrap();
    assert!(ask(&run_one).1.contains("measuring which kernels"));
    let off = [&run_one[..], &["--tuning", "off"]].concat();
    fs::remove_file(&file).unwrap();
    assert!(!ask(&off).1.contains("measuring"));
    let kept = fs::read_to_string(&file).unwrap();
    assert!(
        kept.contains("\"choices\": {}") && kept.contains("matvec."),
        "{kept}"
    );
}

#[test]
fn gpu_kernels_that_compute_wrong_are_replaced_and_named() {
    let Some(model) = model() else { return };
    let cache = folder("faults");
    let ask = |fault: &str, arguments: &[&str]| {
        let mut command = on_quicker(&cache);
        command
            .env("LANTERN_TUNING", "off")
            .env("LANTERN_FAULTS", fault);
        run(command.args(arguments))
    };
    let model = model.display().to_string();
    let words = [
        "run",
        &model,
        "--raw",
        "--greedy",
        "-n",
        "4",
        "-p",
        "The capital of France is",
    ];
    let (_, right, _) = ask("", &words);
    fs::remove_dir_all(cache.join("tuning")).unwrap();

    let (code, text, told) = ask("matvec.rows8", &words);
    assert_eq!((code, &text), (0, &right));
    assert!(
        told.contains("matvec.rows8 computes wrong")
            && told.contains("matvec.rows4 is used instead"),
        "{told}"
    );
    // The next start knows, though nothing is wrong any more; a self-test tries anew.
    let (_, text, told) = ask("", &words);
    assert_eq!(text, right);
    assert!(told.contains("matvec.rows8 q4_1 is not used"), "{told}");
    let (code, table, _) = ask("matvec.rows8", &["selftest", "matvec"]);
    assert!(
        code == 1 && table.contains("FAIL (") && table.contains(" pass, 1 fail"),
        "{table}"
    );
    let (code, table, _) = ask("", &["selftest", "matvec"]);
    assert!(code == 0 && table.contains(" pass, 0 fail"), "{table}");
    assert!(!ask("", &words).2.contains("is not used"));

    fs::remove_dir_all(cache.join("tuning")).unwrap(); // what was right is not tried again
    let all = "matvec.rows8 matvec.rows4 matvec.staged128 matvec.staged64 matvec.subgroup matvec.workgroup";
    let (code, _, told) = ask(all, &words);
    assert!(
        code == 1 && told.contains("nothing here stands in for it"),
        "{told}"
    );
}

#[test]
fn gpu_bench_prints_depths_profiles_and_kernels() {
    let Some(model) = model() else { return };
    let bench = |arguments: &[&str]| {
        let (code, stdout, stderr) = run(verb("bench", &model).args(arguments));
        assert_eq!(code, 0, "{stderr}");
        stdout
    };
    let csv = bench(&["-p", "8", "-n", "2", "-d", "0,16", "-r", "1", "-o", "csv"]);
    let fields: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let of = |column: &str| fields[0].iter().position(|name| *name == column).unwrap();
    let rows: Vec<(&str, &str)> = fields[1..]
        .iter()
        .map(|row| (row[of("test")], row[of("depth")]))
        .collect();
    assert_eq!(
        rows,
        [("pp8", "0"), ("tg2", "0"), ("pp8", "16"), ("tg2", "16")]
    );

    let md = bench(&["-p", "8", "-n", "2", "-r", "1", "-o", "md", "--profile"]);
    assert!(md.starts_with("| test |") && md.contains("|---|"), "{md}");
    for kernel in [
        "kernels of a token",
        "kernels of a pass",
        "matvec.",
        "attention",
    ] {
        assert!(md.contains(kernel), "{kernel}: {md}");
    }
    let (code, stdout, stderr) =
        run(lantern(&folder("kernels")).args(["bench", "--kernels", "norm"]));
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stdout.contains("1 of 576") || stdout.contains("3 of 576"),
        "{stdout}"
    );
    let (code, _, stderr) = run(lantern(&folder("kernels")).args(["bench", "--kernels", "norn"]));
    assert!(
        code == 1 && stderr.contains("there are embed, norm"),
        "{stderr}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn gpu_none_at_all_is_exit_code_3() {
    let mut command = lantern(&folder("none"));
    command.env("VK_DRIVER_FILES", "/no/such/driver.json");
    command.env("VK_ICD_FILENAMES", "/no/such/driver.json");
    let (code, stdout, stderr) = run(command.arg("devices"));
    assert_eq!((code, stdout.as_str()), (3, ""));
    assert!(stderr.contains("mesa-vulkan-drivers"), "{stderr}");
}

/// Both sides of every op agree, of attention and of a recurrent state; of a faulty kernel the first op is named.
#[test]
fn gpu_plan_check_names_the_first_op_that_differs() {
    let cache = folder("plan-check");
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/reference/families-2026/qwen35.gguf")
        .display()
        .to_string();
    let ask = |fault: &str, arguments: &[&str]| {
        let mut command = on_quicker(&cache);
        command.env("LANTERN_FAULTS", fault);
        run(command.args(["plan", &file]).args(arguments))
    };
    for width in ["1", "9"] {
        let (code, told, error) = ask("", &["--check", "--width", width]);
        assert_eq!(code, 0, "{error}");
        assert!(
            told.contains("ops agree with their CPU references"),
            "{told}"
        );
    }
    // The layer's first op whose kernel returns at once, after others that are right.
    let (code, told, error) = ask("delta_net.values8", &["--check", "--width", "9"]);
    assert_eq!(code, 1, "{error}");
    assert!(
        told.starts_with("blk.0 ") && told.contains("delta_net.values8") && told.contains("y: "),
        "{told}"
    );
    assert!(error.contains("differs from its CPU reference"), "{error}");
    let (code, graph, _) = ask("", &["--ops"]);
    assert_eq!(code, 0);
    for op in [
        "embed(",
        "delta_net(",
        "attend(",
        "glu(",
        "add(",
        "state 0 conv",
    ] {
        assert!(graph.contains(op), "{op} is not in {graph}");
    }
    let (code, plan, _) = ask("", &["-v"]);
    assert_eq!(code, 0);
    assert!(plan.contains("(norm into linear)"), "{plan}");
}
