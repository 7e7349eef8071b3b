// Positions in a grid: a count of workgroups above 65,535 is spread over x and y.

const ELEMENTWISE: u32 = 256u;

fn linear_group(group: vec3u, groups: vec3u) -> u32 {
  return group.y * groups.x + group.x;
}

fn element_index(group: vec3u, groups: vec3u, lane: u32) -> u32 {
  return linear_group(group, groups) * ELEMENTWISE + lane;
}
