/** @tensorflow/tfjs with its wasm backend registered. */
import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";

export { tf };
