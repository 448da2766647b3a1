//! The verbs that say how a machine is, and whether figures can be trusted. Names that begin with `gpu_` run two at a time.

mod support;

use std::fs;

use serde_json::Value;
use support::{folder, lantern, run};

/// A model that is measured in seconds, and as few tokens.
const LITTLE: [&str; 11] = [
    "bench",
    "--synthetic",
    "smollm2-135m:q4_0",
    "-p",
    "4",
    "-n",
    "2",
    "-r",
    "3",
    "--context",
    "32",
];

#[test]
fn gpu_doctor_finds_nothing_bad_here() {
    let (code, stdout, stderr) = run(lantern(&folder("doctor")).args(["doctor", "--json"]));
    assert_eq!(code, 0, "{stdout}{stderr}");
    let findings: Value = serde_json::from_str(&stdout).unwrap();
    let findings = findings.as_array().unwrap();
    let of_linux = ["drivers", "loader"];
    let everywhere = ["adapters", "adapter 0", "disk", "model"];
    let of_linux = of_linux.iter().filter(|_| cfg!(target_os = "linux"));
    for &what in of_linux.chain(&everywhere) {
        assert!(
            findings.iter().any(|f| f["what"] == what),
            "{what}: {stdout}"
        );
    }
    let model = findings.iter().find(|f| f["what"] == "model").unwrap();
    assert_eq!(model["fix"], "lantern fetch", "this cache is empty");
}

/// A driver whose library is missing, and a list of drivers that names what is not there.
#[test]
#[cfg(target_os = "linux")]
fn doctor_names_what_is_broken_and_its_fix() {
    let cache = folder("doctor-broken");
    let manifest = cache.join("icd.json");
    let text = r#"{"file_format_version": "1.0.0", "ICD": {"library_path": "libmissing.so.7", "api_version": "1.3.0"}}"#;
    fs::write(&manifest, text).unwrap();
    let ill = |drivers: &str| {
        let mut doctor = lantern(&cache);
        for name in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
            doctor.env(name, drivers);
        }
        run(doctor.arg("doctor"))
    };
    let (code, stdout, stderr) = ill(manifest.to_str().unwrap());
    assert_eq!(code, 1, "{stdout}");
    assert!(
        stdout.contains("does not load: libmissing.so.7"),
        "{stdout}"
    );
    assert!(
        stdout.contains("install the package that has it"),
        "{stdout}"
    );
    assert!(stderr.contains("keep Lantern from working"), "{stderr}");
    let (code, stdout, _) = ill("/nowhere/icd.json");
    assert_eq!(code, 1, "{stdout}");
    assert!(
        stdout.contains("names what is not there: /nowhere/icd.json"),
        "{stdout}"
    );
}

/// Results with other samples, all near `speed`: how busy the machine was does not matter.
fn with_samples_about(results: &Value, speed: f64) -> String {
    let mut results = results.clone();
    for result in results.as_array_mut().unwrap() {
        for row in result["rows"].as_array_mut().unwrap() {
            let samples = row["tokens_per_second"]["samples"].as_array_mut();
            for (number, sample) in samples.unwrap().iter_mut().enumerate() {
                *sample = (speed + number as f64 / 10.0).into();
            }
        }
    }
    results.to_string()
}

/// All adapters measured, reported on, and held against the same, slower.
#[test]
fn gpu_results_are_measured_reported_and_compared() {
    let cache = folder("trust");
    let (before, after) = (cache.join("before.json"), cache.join("after.json"));
    let mut bench = lantern(&cache);
    let (code, stdout, stderr) = run(bench.args(LITTLE).args(["--all-adapters", "--json"]));
    assert_eq!(code, 0, "{stderr}");
    fs::write(&before, &stdout).unwrap();
    let results: Value = serde_json::from_str(&stdout).unwrap();
    let all = results.as_array().unwrap();
    let devices = run(lantern(&cache).args(["devices", "--json"])).1;
    let devices: Value = serde_json::from_str(&devices).unwrap();
    assert_eq!(all.len(), devices.as_array().unwrap().len());
    assert!(
        all.iter()
            .all(|result| result["model"]["synthetic"] == true)
    );
    let (steady, slower) = (cache.join("steady.json"), &after);
    fs::write(&steady, with_samples_about(&results, 100.0)).unwrap();
    fs::write(slower, with_samples_about(&results, 10.0)).unwrap();

    let page = cache.join("report.html");
    let mut report = lantern(&cache);
    let (code, _, stderr) = run(report
        .arg("report")
        .args([&before, &after])
        .arg("-o")
        .arg(&page));
    assert_eq!(code, 0, "{stderr}");
    let html = fs::read_to_string(&page).unwrap();
    assert!(
        html.contains("<svg") && !html.contains("src=") && !html.contains("href=\"http"),
        "drawn, and self-contained"
    );
    let (code, markdown, _) = run(lantern(&cache)
        .arg("report")
        .arg(&before)
        .args(["-o", "md"]));
    assert_eq!(code, 0);
    assert!(
        markdown.contains("| pp4 |") && markdown.contains("| tg2 |"),
        "{markdown}"
    );

    let compare = |a, b| run(lantern(&cache).arg("compare").arg(a).arg(b));
    let (code, stdout, _) = compare(&before, &before);
    assert_eq!(code, 0, "{stdout}");
    let (code, stdout, stderr) = compare(&steady, slower);
    assert_eq!(code, 1, "{stdout}");
    assert!(stdout.contains("slower"), "{stdout}");
    assert!(stderr.contains("slower beyond the noise: "), "{stderr}");
}

/// Predictions are held against what is then measured, also of models that are only shapes.
#[test]
fn gpu_check_predicts_and_bench_measures() {
    let cache = folder("check");
    let quick = || {
        let mut command = lantern(&cache);
        command.env("LANTERN_ADAPTER", "llvmpipe"); // the quicker of the software adapters
        command
    };
    let check = |arguments: &[&str]| run(quick().arg("check").args(arguments));
    let (code, stdout, stderr) = check(&["smollm2-135m:q4_0", "--context", "32", "--json"]);
    assert_eq!(code, 0, "{stderr}");
    let first: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&first["fits"], &first["past_error"]),
        (&true.into(), &Value::Null)
    );
    let (code, _, stderr) = run(quick().args(LITTLE));
    assert_eq!(code, 0, "{stderr}");
    let (_, stdout, _) = check(&["smollm2-135m:q4_0", "--context", "32", "--json"]);
    let second: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(second["past_error"]["count"], 2, "prefill and decode");

    let (code, _, stderr) = check(&["smollm2-135m:q4_9"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("q4_9"), "{stderr}");
    let mut bench = lantern(&cache);
    let (code, _, stderr) = run(bench.args(LITTLE).args(["--quantize", "q4_0"]));
    assert_eq!(code, 2);
    assert!(stderr.contains("--quantize"), "{stderr}");
}
