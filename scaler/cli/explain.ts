/** `npm run explain`: why the fleet is the size it is, in plain words; or what it would be. See `commands/explain-options.ts`. */
import { z } from 'zod';

import { print, runCommand } from '../../shared/command/run-command.ts';
import { EXIT } from '../../shared/runtime/errors.ts';
import { askScaler } from './ask-scaler.ts';
import { commandConfig } from './config.ts';
import { parseExplainOptions } from './explain-options.ts';

const explanation = z.looseObject({ words: z.array(z.string()) });

const argv = process.argv.slice(2);
process.exitCode = await runCommand(argv, async () => {
  const options = parseExplainOptions(argv);
  if (options === null) return EXIT.ok;
  const query = new URLSearchParams(options.whatIf).toString();
  const asked = { method: 'GET', path: query === '' ? '/explain' : `/explain?${query}` } as const;
  const said = await askScaler(asked, explanation, commandConfig());
  print(options.asJson ? JSON.stringify(said) : said.words.join('\n'));
  return EXIT.ok;
});
