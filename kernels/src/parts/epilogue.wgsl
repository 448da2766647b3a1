// Treatment of the results of two rows: EPILOGUE is the number of the choice. Of a gated unit (Shazeer 2020) gate and up
// alternate, so that two rows make one result; or the gate was stored before, in y.
const ADD = 1u;
const GLU = 2u;
const GATE = 3u;

fn epilogue(start: u32, row: u32, v: vec2f) {
    if EPILOGUE == GLU {
        y[start + row / 2u] = activated(v.x) * v.y;
    } else {
        epilogue_row(start + row, v.x);
        if row + 1u < params.rows { epilogue_row(start + row + 1u, v.y); }
    }
}

fn epilogue_row(at: u32, v: f32) {
    if EPILOGUE == ADD {
        y[at] += v;
    } else if EPILOGUE == GATE {
        y[at] = activated(y[at]) * v;
    } else {
        y[at] = v;
    }
}
