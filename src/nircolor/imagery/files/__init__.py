"""Image files: find, recognize and locate them; formats that GDAL does not read well."""
