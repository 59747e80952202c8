/**
 * Stands in for a worker process: reports that it is ready, writes its pid to a file, and ends on SIGTERM or disconnect. With
 * `STAND_IN_FAILS` it exits before it is ready.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';

const { STAND_IN_FOLDER: folder, STAND_IN_FAILS: fails, FRAMEFLEET_VM_ID: vmId } = process.env;
if (fails !== undefined) process.exit(1);
const alive = setInterval(() => undefined, 60_000);

process.once('SIGTERM', () => {
  clearInterval(alive);
  process.disconnect();
});
process.once('disconnect', () => clearInterval(alive));
if (folder !== undefined && vmId !== undefined) writeFileSync(path.join(folder, vmId), String(process.pid));
process.send?.({ type: 'ready', port: 0 });
