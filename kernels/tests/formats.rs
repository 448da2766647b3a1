//! Size of the packed form of each stored type.

use lantern_kernels::FORMATS;

/// Bytes of `rows` in all planes.
fn packed(format: &lantern_kernels::Format, rows: u32, cols: u32) -> u64 {
    let planes = 0..format.planes.len();
    planes
        .map(|plane| format.plane_bytes(plane, rows, cols))
        .sum()
}

/// Weights stay as stored: a few percent more at most, but for those whose digits and codes packing resolves.
#[test]
fn packed_weights_take_what_a_file_takes() {
    for format in FORMATS {
        let stored = format.row_bytes(4096) as f64 * 16.0;
        let more = packed(format, 16, 4096) as f64 / stored;
        let most = match format.name {
            "iq2_xxs" => 1.61,
            "iq2_xs" => 1.44,
            "iq1_s" | "iq3_xxs" => 1.41,
            "iq1_m" => 1.4,
            "iq2_s" => 1.3,
            "iq3_s" => 1.26,
            "tq1_0" => 1.23,
            _ => 1.04,
        };
        assert!((1.0..most).contains(&more), "{}: {more}", format.name);
    }
}

/// A strip of sixteen rows ends on whole 16 bytes in every plane, so that the next begins there.
#[test]
fn sixteen_rows_are_whole_in_every_plane() {
    for format in FORMATS {
        let cols = 3 * format.unit();
        for plane in 0..format.planes.len() {
            let (once, twice) = (
                format.plane_bytes(plane, 16, cols),
                format.plane_bytes(plane, 32, cols),
            );
            assert_eq!(2 * once, twice, "{}", format.name);
        }
    }
}
