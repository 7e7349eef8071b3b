/** The trainers of an engine: the one table from a name to what trains. */
import { a2c } from "../trainers/a2c";
import { bco } from "../trainers/bco";
import { cpo } from "../trainers/cpo";
import { dpo } from "../trainers/dpo";
import { gkd } from "../trainers/gkd";
import { grpo } from "../trainers/grpo";
import { kto } from "../trainers/kto";
import { listwiseDpo } from "../trainers/listwise-dpo";
import { onlineDpo } from "../trainers/online-dpo";
import { orpo } from "../trainers/orpo";
import { ppo } from "../trainers/ppo";
import { prm } from "../trainers/prm";
import { reinforce } from "../trainers/reinforce";
import { reward } from "../trainers/reward";
import { rloo } from "../trainers/rloo";
import { sft } from "../trainers/sft";
import { trpo } from "../trainers/trpo";

/**
 * By the name that checkpoints carry: the trainer, and the head that its model must have. Not here: `ilql`, whose value heads are no model
 * that could be handed over.
 */
export const trainers = {
  sft: { start: sft, head: "lm" },
  reward: { start: reward, head: "score" },
  prm: { start: prm, head: "score" },
  dpo: { start: dpo, head: "lm" },
  "listwise-dpo": { start: listwiseDpo, head: "lm" },
  "online-dpo": { start: onlineDpo, head: "lm" },
  kto: { start: kto, head: "lm" },
  bco: { start: bco, head: "lm" },
  orpo: { start: orpo, head: "lm" },
  cpo: { start: cpo, head: "lm" },
  gkd: { start: gkd, head: "lm" },
  ppo: { start: ppo, head: "lm" },
  a2c: { start: a2c, head: "lm" },
  grpo: { start: grpo, head: "lm" },
  rloo: { start: rloo, head: "lm" },
  reinforce: { start: reinforce, head: "lm" },
  trpo: { start: trpo, head: "lm" },
} as const;
