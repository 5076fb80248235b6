# escape=`
FROM example/windows:2
COPY go.mod C:\app\
RUN one `
 # inside

 && two three
CMD ["serve.exe"]
