/** `npm run explain`: why the fleet is the size it is, in plain words; or what it would be. See `commands/explain-options.ts`. */
import { z } from 'zod';

import { askScaler } from './commands/ask-scaler.ts';
import { commandConfig } from './commands/config.ts';
import { parseExplainOptions } from './commands/explain-options.ts';
import { runCommand } from './commands/run-command.ts';

const explanation = z.looseObject({ words: z.array(z.string()) });

const argv = process.argv.slice(2);
process.exitCode = await runCommand(argv, async () => {
  const options = parseExplainOptions(argv);
  if (options === null) return null;
  const query = new URLSearchParams(options.whatIf).toString();
  const asked = { method: 'GET', path: query === '' ? '/explain' : `/explain?${query}` } as const;
  const said = await askScaler(asked, explanation, commandConfig());
  return options.asJson ? [JSON.stringify(said)] : said.words;
});
