/** The error for a result that cannot be written to its path, and how to recognize such a failure. PURE. */
import { PermanentError, errnoOf } from '../../shared/runtime/errors.ts';

/** Errno codes of file systems. `isFileSystemError` excludes network errors with the same code. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission is denied',
  EBUSY: 'the file is in use',
  EDQUOT: 'your disk quota is used up',
  EEXIST: 'it already exists',
  EFBIG: 'it is larger than the file size limit',
  EINVAL: 'the file system does not accept this name',
  EIO: 'the device reports an input/output error',
  EISDIR: 'it is a folder',
  ELOOP: 'the path has too many symbolic links',
  EMFILE: 'too many files are open',
  ENAMETOOLONG: 'the name or the path is too long for the file system',
  ENFILE: 'too many files are open',
  ENODEV: 'the device no longer exists',
  ENOENT: 'the folder does not exist',
  ENOSPC: 'no space is left on the device',
  ENOTDIR: 'a part of the path is not a folder',
  ENOTEMPTY: 'it is a folder',
  ENXIO: 'the device no longer exists',
  EPERM: 'permission is denied',
  EROFS: 'the file system is read-only',
  ESTALE: 'the network folder no longer exists',
  ETXTBSY: 'the file is in use',
};

export function isFileSystemError(error: unknown): boolean {
  const isOfNetwork =
    typeof error === 'object' && error !== null && 'syscall' in error && error.syscall === 'connect';
  return !isOfNetwork && Object.hasOwn(REASONS, errnoOf(error) ?? '');
}

/** `why` is a reason in words or an error of the file system. */
export function outputRefused(
  outputPath: string,
  why: unknown,
  hint = 'Choose another path with --out PATH.',
): PermanentError {
  const reason = typeof why === 'string' ? why : (REASONS[errnoOf(why) ?? ''] ?? 'it failed');
  return new PermanentError('OUTPUT_NOT_WRITABLE', `Cannot write the result to ${outputPath}: ${reason}.`, {
    hint,
    ...(typeof why === 'string' ? {} : { cause: why }),
  });
}
