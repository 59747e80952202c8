/** The focus of an element that goes: it moves to the title of the view, and not to the start of the page. */
import type { RefObject } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

export function useFocusHandedOn<T extends HTMLElement>(): RefObject<T | null> {
  const element = useRef<T>(null);
  useLayoutEffect(
    () => () => {
      if (element.current?.contains(document.activeElement)) focusTitle();
    },
    [],
  );
  return element;
}

/** Titles can have the focus, but are not reached with the tab key. */
export function focusTitle(): void {
  document.querySelector<HTMLElement>('h1')?.focus({ preventScroll: true });
}
