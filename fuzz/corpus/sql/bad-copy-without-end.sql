COPY picked FROM stdin;
1
