/** `post_processor` of tokenizer.json, for single texts: pairs of texts are none of a language model's business. */
import { type JsonField, type Readers, readComponent } from "./json-field";

/** Ids that go round a text when special tokens are added. */
export interface Surroundings {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

const nothing: Surroundings = { before: [], after: [] };

/** `cls` and `sep`: [token, id]. */
function readClsAndSep(component: JsonField): Surroundings {
  const idOf = (name: string) => {
    const [token, id, ...more] = component.get(name).items();
    if (token === undefined || id === undefined || more.length > 0) throw component.get(name).must("a token and its id");
    token.string();
    return id.integer(0);
  };
  return { before: [idOf("cls")], after: [idOf("sep")] };
}

function readTemplate(component: JsonField): Surroundings {
  const tokens = component.get("special_tokens");
  const before: number[] = [];
  const after: number[] = [];
  let texts = 0;
  for (const piece of component.get("single").items()) {
    const token = piece.get("SpecialToken");
    if (token.isAbsent) {
      piece.get("Sequence").object();
      texts += 1;
      continue;
    }
    const ids = tokens.get(token.get("id").string()).get("ids").items();
    (texts === 0 ? before : after).push(...ids.map((id) => id.integer(0)));
  }
  if (texts !== 1) throw component.get("single").must("a template with the text in it once");
  return { before, after };
}

const readers: Readers<Surroundings> = {
  TemplateProcessing: readTemplate,
  BertProcessing: readClsAndSep,
  RobertaProcessing: readClsAndSep,
  // It only trims offsets.
  ByteLevel: () => nothing,
  // Each puts its tokens round what the one before has made.
  Sequence: (component) =>
    component
      .get("processors")
      .items()
      .map((processor) => readComponent(processor, readers))
      .reduce((inner, outer) => ({ before: [...outer.before, ...inner.before], after: [...inner.after, ...outer.after] }), nothing),
};

/** Throws for ids of `vocabSize` and above. */
export function readPostProcessor(component: JsonField, vocabSize: number): Surroundings {
  const surroundings = component.isAbsent ? nothing : readComponent(component, readers);
  const bad = [...surroundings.before, ...surroundings.after].find((id) => id >= vocabSize);
  if (bad !== undefined) throw component.must(`made of ids below ${vocabSize}, not ${bad}`);
  return surroundings;
}
