/** A log without output. */
import { createLog } from '../../shared/runtime/log.ts';

export const silentLog = createLog({ room: 'test', level: 'silent' });
