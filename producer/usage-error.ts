/** What is wrong with a command line, as the library that read it says, in our own words. */
import { PermanentError } from '../shared/runtime/errors.ts';

export function usageError(error: Error, hint: string): PermanentError {
  return new PermanentError('USAGE', sentence(error.message), { hint, cause: error });
}

function sentence(message: string): string {
  const text = message.replace(/^error: /, '').replace(/\.?$/, '.');
  return text.charAt(0).toUpperCase() + text.slice(1);
}
