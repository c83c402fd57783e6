"""How streets, flats, boxes and cities are written, as patterns. What postal_addresses.py searches with.

English puts the kind behind the name (12 Oak Street), Romance and Slavic languages ahead of it (Rue de la
Paix 5, ul. Zamkowa 33), Germanic and Nordic ones into it (Hauptstrasse 9, Storgatan 4).
"""

import re

NUMBER = r"\d{1,6}(?:[A-Za-z](?![\w]))?(?:[-/]\d{1,4}[A-Za-z]?)?"
_NUMBERS = rf"(?:(?:{NUMBER}[ ,]{{1,2}}){{1,2}})"
_UPPER = r"[^\W\d_a-zà-öø-ÿāăąćčďđęěğģīķłļńňőřśşšţťūůűźżž]"
CAPITAL = rf"(?-i:(?<!\w){_UPPER}[\w'\u2019.-]{{0,40}})"
_LINK = (
    r"(?:de|del|della|delle|dei|degli|di|do|da|dos|das|du|des|la|le|les|el|los|las|l'|d'|van|von|der|den|"
    r"zum|zur|am|of|the|e|y|i|and|nad|pod|na)"
)
_LINKS = rf"(?:{_LINK}[ ]?){{0,2}}"
NAMED = rf"{CAPITAL}(?:[ ](?:{_LINK}[ ]){{0,2}}{CAPITAL}){{0,3}}"
ANY_NAME = r"[^\W\d_][\w'\u2019.-]{0,40}(?:[ ][^\W\d_][\w'\u2019.-]{0,40}){0,3}"
SURE_KINDS = (
    "street|road|avenue|boulevard|lane|highway|parkway|crescent|terrace|expressway|turnpike"
)
KINDS = (
    r"st|rd|ave|av|blvd|ln|hwy|pkwy|drive|dr|court|ct|place|pl|square|sq|close|parade|circle|cir|trail|"
    r"row|walk|way|quay|mews|grove|hill|garden|gardens|alley|loop|pike|path|plaza|park|view|rise|green"
)
_COMPASS = r"(?:[ ](?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)(?!\w)\.?)?"
ENGLISH = [
    rf"{_NUMBERS}(?:{ANY_NAME})[ ](?:{SURE_KINDS})(?!\w){_COMPASS}",
    rf"{_NUMBERS}(?:[NSEW]\.?[ ])?{NAMED}[ ](?-i:{KINDS.title()}|{KINDS.upper()})(?!\w)"
    rf"\.?{_COMPASS}",
    rf"{NAMED}[ ](?:{SURE_KINDS})[ ]\d{{1,5}}(?![\w])",
]
GROWN = (  # one word, as in Hauptstrasse, Kerkstraat, Storgatan, Mannerheimintie
    r"stra(?:ss|ß)e|str\.?|gasse|weg|platz|allee|damm|ufer|steig|stieg|chaussee|straat|laan|plein|gracht|kade|"
    r"dreef|steenweg|singel|dijk|hof|vej|gade|gaten?|gatan|gata|veien|vegen|vegur|v[äe]gen|stræde|str[æe]de|torg|torvet|"
    r"katu|kuja|polku|tie|raitti|puiestee|maantee|braut|brú"
)
COMPOUND = rf"(?<!\w)[^\W\d_][\w'\u2019.-]{{2,30}}(?:{GROWN})(?!\w)[ ]?,?[ ]?{NUMBER}(?![\w])"
AHEAD = (  # the kind comes first, as in Rue de la Paix 5 and ul. Zamkowa 33
    r"r[uú]a|rue|viale|calle|avenida|avda\.?|paseo|carrer|travessa|largo|pra[çc]a|estrada|chemin|impasse|"
    r"quai|all[ée]e|cours|ulica|ul\.|aleja|al\.|os\.|ulice|n[áa]m\.?|n[áa]m[ěe]st[íi]|trg|cesta|strada|str\.|bulevardul|"
    r"contrada|vicolo|piazza|corso|alameda|passeig|passage|faubourg|jalan|rruga|c/"
)
AHEAD_CAPITAL = r"Via|Place|Boulevard|Avenue|Cours|Strand|Plac|Cité|Urb\.?|Lugar|Bairro|Quinta"
ROMANCE = [
    rf"{_NUMBERS}?(?<!\w)(?:{AHEAD})[ ]?{_LINKS}{ANY_NAME}(?:[ ,]{{1,2}}{NUMBER}(?!\w))",
    rf"{_NUMBERS}(?<!\w)(?:{AHEAD}|(?-i:{AHEAD_CAPITAL}))[ ]?{_LINKS}{NAMED}",
    rf"{_NUMBERS}(?<!\w)(?:{AHEAD})[ ](?:{_LINK}[ ]?){{1,2}}[^\W\d_][\w'\u2019-]*",
    rf"(?<!\w)(?-i:{AHEAD_CAPITAL})[ ]{_LINKS}{NAMED}[ ,]{{1,2}}{NUMBER}(?!\w)",
]
BEHIND = (  # a word of its own behind the name, as in Kossuth utca 3
    r"utca|u\.|út|útja|tér|tere|tee|tn\.?|pst\.?|gatv[ėe]|g\.|iela|enparantza|kalea|sokak|sokağ\u0131|caddesi|cad\.|"
    r"stra(?:ss|ß)e|vej|gade|vei|väg|weg|ulitsa|prospekt|street"
)
SLAVIC = rf"{NAMED}[ ](?:{BEHIND})[ ]{NUMBER}\.?(?!\w)"
UNIT = (
    r"(?:(?:apt|apartment|suite|ste|flat|appt|appartement|wohnung|lejl|piso)\b\.?[ ]?(?:no\.?|nr\.?|\#)?"
    r"[ ]?\d{1,5}[A-Za-z]?"
    r"|(?:p\.?[ ]?o\.?[ ]?box|postfach|boîte postale|casilla|postbus)[ ]?\#?\d{1,6}"
    r"|(?:psc|unit|cmr)[ ]\d{1,6},?[ ]box[ ]\d{1,6}|(?-i:(?:APO|FPO|DPO)[ ](?:A[AEP])[ ]\d{5}(?:-\d{4})?)"
    r"|(?-i:US(?:NV|S|NS|CGC)[ ][A-Z][\w-]+(?=[ \n,]+(?:APO|FPO|DPO))))(?!\w)"
)
_NO_CITY = (
    r"(?!(?-i:I|I'm|You|We|He|She|They|It|Please|Can|Could|Is|Are|The|My|Your|This|That|And|But|Or|If|"
    r"Thanks?|Hi|Hello|What|When|Where|How|Do|Does|Did|Will|Would|Yes|No|Sorry|Sure|Okay|Ok)\b)"
)
CUE = (  # what people say before an address
    r"(?:address(?:es)?(?:[ ](?:is|to|was|as|linked[ ]to)|'s|:|;)|"
    r"(?:live|lives|living|reside|resides|located|arrived|deliver(?:ed)?|ship(?:ped)?|sent|send|moved?|"
    r"returned?|meet(?:[ ](?:me|you))?|drops?[ ]you[ ]off|pick(?:ed)?[ ]up)[ ](?:it[ ]|them[ ])?"
    r"(?:at|on|in|to|from)|the[ ]corner[ ]of)[ ]{0,5}\n{0,2}[ ]{0,5}"
)
STATES = (
    r"(?-i:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|"
    r"V[AT]|W[AIVY])"
)
AMERICAN_CITY = rf"{CAPITAL}(?:[ ]{CAPITAL}){{0,2}},[ ]?{STATES},?[ ]\d{{5}}(?:-\d{{4}})?(?!\w)"
NUMBERED = (  # a name and a number, known for a street by the flat that follows
    rf"{NAMED}[ ]\d{{1,5}}[A-Za-z]?(?=[ ,\n>]{{1,6}}{UNIT})"
)
_SHORT = rf"(?:{NUMBER}[ ])?{NAMED}(?:[ ]{NUMBER})?"
AFTER_CUE = (
    rf"{CUE}(?P<value>{NUMBER}[ ,]{{1,2}}{NAMED}(?:[ ,]{{1,2}}{NUMBER})?|"
    rf"(?:{NUMBER}[ ,])?{NAMED}[ ]{NUMBER})(?!\w)"
)
CORNER = rf"(?<!\w)(?:the[ ])?corner[ ]of[ ]{_SHORT}[ ](?:and|&)[ ]{_SHORT}(?!\w)"
KIND_LAST = rf"(?:{NUMBER}[ ])?{NAMED}[ ]{NUMBER}[ ](?:street|st|str)(?!\w)"
BETWEEN_NUMBERS = rf"(?<![\w.,/:-])\d{{1,6}}[ ]{NAMED}[ ]\d{{1,5}}(?=[ ]?[,\n]|$)"
POSTCODE = r"(?:[A-Z]{1,2}-)?\d{3,6}(?:[ -]\d{2,4})?(?![\w/%])|(?-i:[A-Z]{1,2}\d[A-Z\d]?[ ]\d[A-Z]{2})(?!\w)"
_GAP = r"[ ,;>]{0,4}\n?[ ,;>]{0,4}\n?[ ,;>]{0,4}"
_CITY = rf"{CAPITAL}(?:[ /-]{{1,3}}(?:{_LINK}[ ])?{CAPITAL}){{0,4}}"
TAIL = re.compile(
    rf"{_GAP}(?:{UNIT}(?:[ ]{_NO_CITY}{CAPITAL}(?:[ ]{_NO_CITY}{CAPITAL}){{0,4}})?"
    rf"|(?:{_CITY}{_GAP})?(?:(?:nan|(?-i:[A-Z]{{1,3}}))[ ,]{{1,2}}\n?[ ]*)?(?:{_CITY}{_GAP})?(?:{POSTCODE})"
    rf"(?:[ ]{CAPITAL}(?:[ ]{CAPITAL}){{0,3}}(?=[ ]*(?:\n|$|[.,;])))?"
    rf"|(?<=[,\n>][ ]){_CITY}(?=[ ]*(?:[\n,.;]|$))|(?<=[,\n>]){_CITY}(?=[ ]*(?:[\n,.;]|$))"
    rf"|(?:\d{{1,2}}(?:st|nd|rd|th)|ground|top)[ ]floor|floor[ ]\d{{1,3}}|room[ ]\d{{1,5}}|unit[ ]\d{{1,5}}"
    r")(?!\w)",
    re.I,
)
HEAD = re.compile(
    rf"(?:(?<![\w.,/:-]){NUMBER}[ ,]{{1,2}}|{UNIT}{_GAP}|(?:{NAMED})[ ]{NUMBER}[ ,]*\n?[ ]*(?=\Z))\Z",
    re.I,
)
ANCHORS = [
    re.compile(pattern, re.I)
    for pattern in (
        *ENGLISH, COMPOUND, *ROMANCE, SLAVIC, UNIT, AMERICAN_CITY, NUMBERED, BETWEEN_NUMBERS, KIND_LAST,
        AFTER_CUE, CORNER,
    )
]  # fmt: skip
NO_NAME = re.compile(
    r"\d+[ ](?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\w*[ ]\d{2,4}", re.I
)
