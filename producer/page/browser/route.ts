/**
 * The address of the view. Links inside the page change it without a load; going back restores the scroll position, once the view has
 * its content back.
 */
import { signal } from '@preact/signals';

export const path = signal(shownPath());
/** A pasted address may have two slashes after its port: as an address of its own, that would name another host. */
export function shownPath(): string {
  return location.pathname.replace(/^\/+/, '/');
}
/** Set by a move through the history: where the view should scroll to. */
const restoredScroll = signal<number | null>(null);

interface EntryState {
  readonly scroll?: number;
}

export function navigate(to: string): void {
  const state: EntryState = { scroll: scrollY };
  history.replaceState(state, '');
  history.pushState({}, '', to);
  restoredScroll.value = null;
  path.value = location.pathname;
  scrollTo(0, 0);
}

export function startRouting(): void {
  history.scrollRestoration = 'manual';
  addEventListener('popstate', ({ state }) => {
    restoredScroll.value = (state as EntryState | null)?.scroll ?? 0;
    path.value = location.pathname;
  });
  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (link === null || !isInside(link) || event.defaultPrevented) return;
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    if (link.pathname !== location.pathname) navigate(link.pathname);
  });
}

/** Call when the view has its content: scrolls once to where it was. */
export function restoreScroll(): void {
  const top = restoredScroll.peek();
  restoredScroll.value = null;
  if (top !== null) requestAnimationFrame(() => scrollTo(0, top));
}

function isInside(link: HTMLAnchorElement): boolean {
  return (
    link.origin === location.origin &&
    link.target === '' &&
    !link.hasAttribute('download') &&
    !link.pathname.startsWith('/api/') &&
    link.hash === ''
  );
}
