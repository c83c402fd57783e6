// The widget. See docs/customers.md.
