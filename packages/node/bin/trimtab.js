#!/usr/bin/env node
/** The `trimtab` command. It lies outside dist because npm links a workspace's command only where the file is there before the first build. */
import "../dist/cli.js";
