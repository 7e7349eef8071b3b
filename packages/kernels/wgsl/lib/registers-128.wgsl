// Registers of a thread of attention for the channels of a head: 4 rows by 4 chunks of 32 channels, D up to 128.

const REGISTERS: u32 = 16u;
