/** `npm run explain`: prints why the fleet has its current size, or which size it would have. See `explain-options.ts`. */
import { z } from 'zod';

import { print, runCommand } from '../../shared/command/run-command.ts';
import { EXIT } from '../../shared/runtime/errors.ts';
import { quoteCommands } from '../../shared/runtime/quote-commands.ts';
import { askScaler } from './ask-scaler.ts';
import { scalerCommandConfig } from './config.ts';
import { parseExplainOptions } from './explain-options.ts';

const explanation = z.looseObject({ words: z.array(z.string()) });

const argv = process.argv.slice(2);
await runCommand(argv, async () => {
  const options = parseExplainOptions(argv);
  if (options === null) return EXIT.ok;
  const query = new URLSearchParams(options.whatIf).toString();
  const request = { method: 'GET', path: query === '' ? '/explain' : `/explain?${query}` } as const;
  const answer = await askScaler(request, explanation, scalerCommandConfig());
  print(options.asJson ? JSON.stringify(answer) : quoteCommands(answer.words.join('\n')));
  return EXIT.ok;
});
