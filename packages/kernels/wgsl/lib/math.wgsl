// Elementary functions that keep their digits where the built-in ones lose them.

const LOWEST: f32 = -3.0e38;  // stands for -infinity: WGSL gives no meaning to infinities
const GELU_SCALE: f32 = 0.7978845608028654;  // √(2/π)
const GELU_CUBIC: f32 = 0.044715;

// (eˣ - 1 - x) / x² · 2 for |x| < 1/2, by its Taylor series.
fn exp_tail(x: f32) -> f32 {
  return 1.0 + x / 3.0 * (1.0 + x / 4.0 * (1.0 + x / 5.0 * (1.0 + x / 6.0 * (1.0 + x / 7.0 * (1.0 + x / 8.0 * (1.0 + x / 9.0))))));
}

// eˣ - 1
fn expm1(x: f32) -> f32 {
  if (abs(x) < 0.5) {
    return x + 0.5 * x * x * exp_tail(x);
  }
  return exp(x) - 1.0;
}

// eˣ - 1 - x
fn expm1_minus(x: f32) -> f32 {
  if (abs(x) < 0.5) {
    return 0.5 * x * x * exp_tail(x);
  }
  return exp(x) - 1.0 - x;
}

// log(1 + y) for -1 < y <= 1: from -1/2 on, 2 artanh(y / (2 + y)) by its series.
fn log1p_unit(y: f32) -> f32 {
  if (y < -0.5) {
    return log(1.0 + y);
  }
  let s = y / (2.0 + y);
  let q = s * s;
  return 2.0 * s * (1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q / 13.0))))));
}

// log(1 - eˣ) for x < 0
fn log1mexp(x: f32) -> f32 {
  if (x > -0.69314718) {
    return log(-expm1(x));
  }
  return log1p_unit(-exp(x));
}

fn sigmoid(x: f32) -> f32 {
  let e = exp(-abs(x));
  return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

// log σ(x)
fn log_sigmoid(x: f32) -> f32 {
  return min(x, 0.0) - log1p_unit(exp(-abs(x)));
}

fn tanh_exact(x: f32) -> f32 {
  let e = expm1(-2.0 * abs(x));
  return sign(x) * -e / (2.0 + e);
}

// cap tanh(x / cap); x where cap is 0
fn soft_cap(x: f32, cap: f32) -> f32 {
  if (cap > 0.0) {
    return cap * tanh_exact(x / cap);
  }
  return x;
}

fn soft_cap4(x: vec4f, cap: f32) -> vec4f {
  if (cap > 0.0) {
    return vec4f(soft_cap(x.x, cap), soft_cap(x.y, cap), soft_cap(x.z, cap), soft_cap(x.w, cap));
  }
  return x;
}

// The derivative of soft_cap from its value.
fn soft_cap_slope(capped: f32, cap: f32) -> f32 {
  if (cap > 0.0) {
    return 1.0 - capped / cap * (capped / cap);
  }
  return 1.0;
}

fn soft_cap_slope4(capped: vec4f, cap: f32) -> vec4f {
  if (cap > 0.0) {
    return vec4f(1.0) - capped / cap * (capped / cap);
  }
  return vec4f(1.0);
}

fn silu(x: f32) -> f32 {
  return x * sigmoid(x);
}

fn silu_derivative(x: f32) -> f32 {
  let s = sigmoid(x);
  return s * (1.0 + x * sigmoid(-x));
}

// x/2 (1 + tanh u) = x σ(2u)
fn gelu_tanh(x: f32) -> f32 {
  return x * sigmoid(2.0 * GELU_SCALE * (x + GELU_CUBIC * x * x * x));
}

fn gelu_tanh_derivative(x: f32) -> f32 {
  let u = GELU_SCALE * (x + GELU_CUBIC * x * x * x);
  let s = sigmoid(2.0 * u);
  return s + x * 2.0 * s * sigmoid(-2.0 * u) * GELU_SCALE * (1.0 + 3.0 * GELU_CUBIC * x * x);
}
