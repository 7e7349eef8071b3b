// Registers of a thread of attention for the channels of a head: 4 rows by 8 chunks of 32 channels, D up to 256.

const REGISTERS: u32 = 32u;
