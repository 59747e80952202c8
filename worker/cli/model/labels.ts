/** Reads the names of a classifier's classes: a text file with a label on each line. */
import { readFile, stat } from 'node:fs/promises';

import { LABELS_MAX, LABEL_CHARACTERS_MAX } from '../../../shared/contract/limits.ts';
import { PermanentError, describeError, errnoOf } from '../../../shared/runtime/errors.ts';

/** Far more than the longest list has. Another file, such as the model, is not read into memory. */
const FILE_BYTES_MAX = 32 * 1024 * 1024;

/** Throws SOURCE_MISSING, SOURCE_UNREADABLE or MODEL_INVALID. */
export async function readLabels(file: string): Promise<string[]> {
  const text = await readText(file);
  const labels = text.trimEnd().split(/\r?\n/);
  if (text.trim() === '') throw refused(file, 'it is empty');
  if (labels.length > LABELS_MAX) throw refused(file, `it has ${labels.length} lines`);
  const long = labels.findIndex((label) => label.length > LABEL_CHARACTERS_MAX);
  if (long !== -1) throw refused(file, `line ${long + 1} has more than ${LABEL_CHARACTERS_MAX} characters`);
  return labels;
}

async function readText(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > FILE_BYTES_MAX) throw refused(file, `it has ${size} bytes`);
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
  } catch (cause) {
    if (cause instanceof PermanentError) throw cause;
    if (cause instanceof TypeError) throw refused(file, 'it is not text in UTF-8');
    const isMissing = errnoOf(cause) === 'ENOENT';
    throw new PermanentError(
      isMissing ? 'SOURCE_MISSING' : 'SOURCE_UNREADABLE',
      isMissing
        ? `Cannot find the labels ${file}.`
        : `Cannot read the labels ${file}: ${describeError(cause)}.`,
      { hint: 'Check the path that is given to --labels.', cause },
    );
  }
}

function refused(file: string, why: string): PermanentError {
  return new PermanentError('MODEL_INVALID', `${file} is not a list of labels: ${why}.`, {
    hint: 'Pass a text file with the name of a class on each line, in the order of the scores.',
  });
}
